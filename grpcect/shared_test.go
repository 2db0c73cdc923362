// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// gives is a service that gives the same object to everybody, and several times in a stream.
func gives(m *testpb.Message) *stub {
	send := func(send func(*testpb.Message) error) error {
		for range 5 {
			if err := send(m); err != nil {
				return err
			}
		}
		return nil
	}
	read := func(recv func() (*testpb.Message, error)) error {
		for {
			if _, err := recv(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	return &stub{
		unary: func(context.Context, *testpb.Message) (*testpb.Message, error) { return m, nil },
		serverStream: func(_ *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
			return send(st.Send)
		},
		clientStream: func(st grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error {
			if err := read(st.Recv); err != nil {
				return err
			}
			return st.SendAndClose(m)
		},
		bidi: func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
			if err := read(st.Recv); err != nil {
				return err
			}
			return send(st.Send)
		},
	}
}

// TestSharedMessagesConcurrentSafe: one object that many calls send and many handlers give
// back at the same time, and that is serialized otherwise each time, is in each call what
// that call's records name.
func TestSharedMessagesConcurrentSafe(t *testing.T) {
	const callers, calls = 16, 12
	for _, compressor := range []string{"", gzip.Name} {
		w := newWorld(t, requireOnClient)
		shared := message(1)
		cc := dialBufconn(t, w, gives(shared))
		var mu sync.Mutex
		inp, out := map[core.Hash]bool{}, map[core.Hash]bool{}
		var wg sync.WaitGroup
		for range callers {
			ctx, _ := w.task(t)
			wg.Go(func() {
				for n := range calls {
					var answer *core.Received
					opts := []grpc.CallOption{grpcect.Answer(&answer)}
					if compressor != "" {
						opts = append(opts, grpc.UseCompressor(compressor))
					}
					k := wireKinds[n%len(wireKinds)]
					if _, _, err := exchange(ctx, cc, k.method, shared, 4, opts...); err != nil || answer == nil {
						t.Errorf("%s = %v, answered %t", k.name, err, answer != nil)
						return
					}
					mu.Lock()
					inp[answer.Heads()[0].InpHash()], out[answer.Heads()[0].OutHash()] = true, true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(inp) < callers || len(out) < callers {
			t.Errorf("%d and %d hashes: the message does not vary", len(inp), len(out))
		}
		for _, s := range []*side{w.from, w.to} {
			if c := s.seen.codes(); len(c) > 0 {
				t.Errorf("%s was told of %v", s.agent.Identity, c)
			}
		}
	}
}
