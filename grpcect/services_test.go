// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestTwoServices: a server whose calls two services record, one after the other, tells both
// of them the same messages, and serializes none twice.
func TestTwoServices(t *testing.T) {
	for name, codec := range map[string]func() *grpcect.Codec{
		"protobuf": func() *grpcect.Codec { return grpcect.NewCodec(nil) },
		"JSON":     func() *grpcect.Codec { return grpcect.NewCodec(jsonCodec{}) },
	} {
		for policy, binding := range bindings {
			for _, k := range kinds {
				if binding == core.BodyRequire && !k.dispatched {
					continue
				}
				t.Run(name+"/"+policy+"/"+k.name, func(t *testing.T) {
					third := &side{seen: &seen{}}
					w := newWorld(t, func(w *world) {
						w.to.policy.Body = binding
						third.agent = w.domain.Agent(t, "third")
						third.service = w.domain.ServiceWithPolicy(t, third.agent, third.agent.Policy(), nil, core.WithObserver(third.seen.observer()))
						c := codec()
						c.ServerOption() // which ServerOptions gives to the server
						w.server = append(w.server, grpcect.WithCodec(c))
						optional := grpcect.WithMode(core.Optional)
						w.serverOptions = append(w.serverOptions,
							grpc.ChainUnaryInterceptor(grpcect.UnaryServerInterceptor(third.service, c, optional)),
							grpc.ChainStreamInterceptor(grpcect.StreamServerInterceptor(third.service, c, optional)))
						if name == "JSON" {
							w.dialOptions = append(w.dialOptions, c.DialOption())
						}
					})
					c := testpb.NewTestServiceClient(dialBufconn(t, w, hooked(talk(), func(ctx context.Context) error {
						if _, ok := core.TaskFromContext(ctx); !ok {
							return errors.New("no task")
						}
						return nil
					})))
					ctx, _ := w.task(t)
					if err := k.call(ctx, c); err != nil {
						t.Fatal(err)
					}
					one, other := w.to.seen.await(t), third.seen.await(t)
					if !one.InpHash.Present || !one.OutHash.Present || other.InpHash != one.InpHash || other.OutHash != one.OutHash {
						t.Errorf("one records %v and %v, the other %v and %v", one.InpHash, one.OutHash, other.InpHash, other.OutHash)
					}
				})
			}
		}
	}
}
