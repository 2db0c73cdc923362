// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestSubtype: a call that says it is written with another codec than the server's is
// refused, also where the server could read it, and its token stays good.
func TestSubtype(t *testing.T) {
	for _, k := range wireKinds {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			var ran atomic.Int32
			c := w.wire(t, counted(talk(), &ran))
			m := odd[0].message
			call := wireCall{method: k.method, messages: [][]byte{m}}
			token := func() string {
				return w.from.agent.Token(w.to.agent.Identity).With("out_hash", claimOf(wireHash(m))).Sign(t)
			}
			call.token = token()
			for _, other := range []string{"+" + jsonName, "+json", "+proto2", "+proto-x", ";charset=x"} {
				call.subtype = other
				c.call(t, call).refusedAs(t, core.ClassUnsupported)
			}
			if n := ran.Load(); n > 0 {
				t.Errorf("the handler ran %d times", n)
			}
			for _, good := range []string{"", "+proto", "+PROTO"} {
				call.subtype = good
				if got := c.call(t, call).answer(t).InpHash; got != wireHash(m) {
					t.Errorf("%q: inp_hash = %v", good, got)
				}
				call.token = token()
			}
		})
	}
}

// TestOtherCodecs: a client and a server whose codecs differ do not understand each other.
// grpc-go reads a unary call's request before an interceptor is asked.
func TestOtherCodecs(t *testing.T) {
	for _, way := range codecWays {
		if way.name == "CallCustomCodec" {
			continue // which does not say what it writes
		}
		for _, k := range kinds {
			t.Run(way.name+"/"+k.name, func(t *testing.T) {
				var ran atomic.Int32
				w := newWorld(t, func(w *world) { w.dialOptions = way.dial })
				c := testpb.NewTestServiceClient(dialBufconn(t, w, counted(talk(), &ran)))
				ctx, _ := w.task(t)
				err := k.call(ctx, c, way.call...)
				if k.name == "unary" {
					if status.Code(err) != codes.Internal {
						t.Errorf("the call = %v", err)
					}
				} else if class, _ := grpcect.RefusedAs(err); class != core.ClassUnsupported || status.Code(err) != codes.Unimplemented {
					t.Errorf("the call = %v", err)
				}
				if n := ran.Load(); n > 0 || len(w.to.seen.tokens()) > 0 {
					t.Errorf("the handler ran %d times, %d tasks were recorded", n, len(w.to.seen.tokens()))
				}
			})
		}
	}
}
