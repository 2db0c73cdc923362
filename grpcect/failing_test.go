// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// failing is a codec that cannot write, or cannot read.
type failing struct {
	encoding.CodecV2
	marshal, unmarshal error
}

func (f failing) Name() string { return "proto" }

func (f failing) Marshal(v any) (mem.BufferSlice, error) {
	if f.marshal != nil {
		return nil, f.marshal
	}
	return f.CodecV2.Marshal(v)
}

func (f failing) Unmarshal(data mem.BufferSlice, v any) error {
	if f.unmarshal != nil {
		return f.unmarshal
	}
	return f.CodecV2.Unmarshal(data, v)
}

// TestServerCodecFails: a request that cannot be read reaches no handler, and a reply that
// cannot be written makes the task a failed one, whose record names none.
func TestServerCodecFails(t *testing.T) {
	inner, cause := encoding.GetCodecV2("proto"), errors.New("not today")
	for name, codec := range map[string]failing{"read": {inner, nil, cause}, "write": {inner, cause, nil}} {
		for _, k := range kinds {
			for policy, binding := range bindings {
				if binding == core.BodyRequire && !k.dispatched {
					continue
				}
				t.Run(strings.Join([]string{name, k.name, policy}, "/"), func(t *testing.T) {
					var ran atomic.Int32
					w := newWorld(t, func(w *world) {
						w.to.policy.Body = binding
						w.server = append(w.server, grpcect.WithCodec(grpcect.NewCodec(codec)))
					})
					c := testpb.NewTestServiceClient(dialBufconn(t, w, counted(talk(), &ran)))
					ctx, _ := w.task(t)
					err := k.call(ctx, c)
					if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), cause.Error()) {
						t.Errorf("the call = %v", err)
					}
					if name == "read" && k.dispatched {
						if ran.Load() > 0 {
							t.Error("the handler ran")
						}
					}
					if name == "read" && k.name == "unary" {
						if n := len(w.to.seen.tokens()); n > 0 {
							t.Errorf("%d tasks were recorded", n)
						}
						return
					}
					record := w.to.seen.await(t)
					if record.Ext.Outcome != core.OutcomeError || record.Ext.Status != int(codes.Internal) || record.OutHash.Present {
						t.Errorf("recorded as %v %d with %v", record.Ext.Outcome, record.Ext.Status, record.OutHash)
					}
				})
			}
		}
	}
}

// TestClientCodecFails: a reply that cannot be read is the error that grpc-go makes of it.
func TestClientCodecFails(t *testing.T) {
	w := newWorld(t)
	c := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
	for _, k := range kinds {
		ctx, _ := w.task(t)
		err := k.call(ctx, c, grpc.ForceCodecV2(failing{encoding.GetCodecV2("proto"), nil, errors.New("not today")}))
		if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "not today") {
			t.Errorf("%s = %v", k.name, err)
		}
	}
}

// TestMarshalFails: what cannot be serialized is an error that leads to its cause, and
// nothing is dispatched for it.
func TestMarshalFails(t *testing.T) {
	cause := errors.New("not today")
	w := newWorld(t)
	c := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
	for _, k := range kinds {
		ctx, _ := w.task(t)
		before := len(w.from.seen.tokens())
		err := k.call(ctx, c, grpc.ForceCodecV2(failing{encoding.GetCodecV2("proto"), cause, nil}))
		if status.Code(err) != codes.Internal || !strings.Contains(status.Convert(err).Message(), "grpc: error while marshaling: not today") {
			t.Errorf("%s = %v", k.name, err)
		}
		if !k.dispatched {
			continue // grpc-go says it, without the cause
		}
		if !errors.Is(err, cause) {
			t.Errorf("%s: the error does not lead to its cause", k.name)
		}
		if n := len(w.from.seen.tokens()); n != before {
			t.Errorf("%s: %d tokens were issued", k.name, n-before)
		}
	}
}
