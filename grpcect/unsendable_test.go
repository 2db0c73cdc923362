// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestStreamThatBroke: grpc-go ends a stream by itself when a message cannot be sent or read,
// whatever its handler returns later. The record says what the call ended with, and as the
// answer did not go, it is one that goes to nobody.
func TestStreamThatBroke(t *testing.T) {
	big := &testpb.Message{Text: strings.Repeat("x", 4096)}
	for _, c := range []struct {
		name string
		s    *stub
		call caller
		code codes.Code
	}{
		{"a reply that is too large, and no error", &stub{serverStream: func(_ *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
			if err := st.Send(big); err == nil {
				return errors.New("it was sent")
			}
			return nil
		}}, kinds[1].call, codes.ResourceExhausted},
		{"a reply that is too large, and another error", &stub{serverStream: func(_ *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
			if err := st.Send(big); err == nil {
				return errors.New("it was sent")
			}
			return status.Error(codes.NotFound, "nothing")
		}}, kinds[1].call, codes.ResourceExhausted},
		{"a request that is too large, and no error", &stub{bidi: func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
			for {
				if _, err := st.Recv(); errors.Is(err, io.EOF) {
					return errors.New("it was read")
				} else if err != nil {
					return nil
				}
			}
		}}, func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
			st, err := c.BidiStream(ctx, opts...)
			if err != nil {
				return err
			}
			if err := st.Send(big); err != nil {
				return err
			}
			return drain(st.Recv)
		}, codes.ResourceExhausted},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) {
				w.serverOptions = []grpc.ServerOption{grpc.MaxSendMsgSize(1024), grpc.MaxRecvMsgSize(1024)}
			})
			o := present(t, w.bare(t, c.s), c.call, w.head(t))
			if status.Code(o.err) != c.code {
				t.Fatalf("the call = %v", o.err)
			}
			if n := len(o.tokens()); n > 0 {
				t.Errorf("%d tokens came", n)
			}
			// The status goes out before the handler is done.
			for start := time.Now(); len(w.to.seen.tokens()) == 0; runtime.Gosched() {
				if time.Since(start) > patience {
					t.Fatal("nothing was recorded")
				}
			}
			r := w.to.seen.last(t)
			if r.Ext.Status != int(c.code) || r.Ext.Outcome != core.OutcomeOK || r.OutHash.Present || r.InpHash.Present && c.name[:9] == "a request" {
				t.Errorf("recorded %+v, hashes %v and %v", r.Ext, r.InpHash, r.OutHash)
			}
			if len(r.Audience) != 1 || r.Audience[0] != w.to.agent.Identity {
				t.Errorf("the record is for %v, and went to nobody", r.Audience)
			}
		})
	}
}
