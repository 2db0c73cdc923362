// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
)

// recovers gives the server interceptors that turn a panic into codes.Internal, further out
// than the library's or further in.
func (w *world) recovers(outside bool) {
	h := recovery.WithRecoveryHandler(func(any) error { return status.Error(codes.Internal, "a panic") })
	unary, stream := recovery.UnaryServerInterceptor(h), recovery.StreamServerInterceptor(h)
	if outside {
		w.serverOptions = append(w.serverOptions, grpc.UnaryInterceptor(unary), grpc.StreamInterceptor(stream))
		return
	}
	w.serverOptions = append(w.serverOptions, grpc.ChainUnaryInterceptor(unary), grpc.ChainStreamInterceptor(stream))
}

// TestPanic: a handler that panics is recorded as an error, its token spent. What recovers
// further in makes a status of it, which is recorded and answered; what recovers further out
// gets the panic, and no answer goes out.
func TestPanic(t *testing.T) {
	for _, outside := range []bool{true, false} {
		for _, k := range kinds {
			t.Run(fmt.Sprintf("%s, outside %t", k.name, outside), func(t *testing.T) {
				w := newWorld(t)
				w.recovers(outside)
				cc := w.bare(t, hooked(talk(), func(context.Context) error { panic("no") }))
				token := w.head(t)
				o := present(t, cc, k.call, token)
				if st := status.Convert(o.err); st.Code() != codes.Internal || st.Message() != "a panic" {
					t.Fatalf("the call = %v", o.err)
				}
				all := w.to.seen.tokens()
				if len(all) != 1 {
					t.Fatalf("issued %d tokens", len(all))
				}
				c := all[0].Claims()
				if c.Ext.Outcome != core.OutcomeError || len(c.Pred) != 1 || c.Pred[0] != taskOf(t, token) || c.OutHash.Present {
					t.Errorf("recorded %+v", c)
				}
				if outside {
					if len(o.tokens()) > 0 || c.Ext.Status != 0 || c.Audience[0] != w.to.agent.Identity {
						t.Errorf("%d tokens came; recorded %+v", len(o.tokens()), c)
					}
				} else if v := w.answer(t, o); v.Digest() != all[0].Digest() || c.Ext.Status != int(codes.Internal) {
					t.Errorf("the answer is not the record, or that is %+v", c)
				}
				present(t, cc, k.call, token).refused(t, core.CodeReplayed)
			})
		}
	}
}

// TestPanicUnprepared: under Optional, a handler that panics before anybody asked for its task
// leaves no record, one that asked does.
func TestPanicUnprepared(t *testing.T) {
	for _, asks := range []bool{true, false} {
		for _, k := range kinds {
			t.Run(fmt.Sprintf("%s, asks %t", k.name, asks), func(t *testing.T) {
				w := newWorld(t)
				w.server = mode(core.Optional)
				w.recovers(true)
				cc := w.bare(t, hooked(talk(), func(ctx context.Context) error {
					if asks {
						core.TaskFromContext(ctx)
					}
					panic("no")
				}))
				if o := present(t, cc, k.call); status.Code(o.err) != codes.Internal {
					t.Fatalf("the call = %v", o.err)
				}
				all := w.to.seen.tokens()
				if want := map[bool]int{true: 1}[asks]; len(all) != want {
					t.Fatalf("issued %d tokens, want %d", len(all), want)
				}
				if asks && (all[0].Claims().Ext.Outcome != core.OutcomeError || len(all[0].Claims().Pred) > 0) {
					t.Errorf("recorded %+v", all[0].Claims())
				}
			})
		}
	}
}
