// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"sync/atomic"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestRelayedRefusal: a handler that passes on how another peer refused its own call has not
// refused its caller's: nobody is told so, and nothing is dispatched once more, also where the
// call has no answer.
func TestRelayedRefusal(t *testing.T) {
	st, err := status.New(codes.PermissionDenied, "said another peer").WithDetails(
		&errdetails.ErrorInfo{Reason: "ECT_REPLAYED", Domain: grpcect.ErrorDomain},
		&errdetails.ErrorInfo{Reason: "OTHER", Domain: "example.com"},
	)
	if err != nil {
		t.Fatal(err)
	}
	var ran atomic.Int32
	s := &stub{
		unary: func(context.Context, *testpb.Message) (*testpb.Message, error) {
			ran.Add(1)
			return nil, st.Err()
		},
		serverStream: func(*testpb.Message, grpc.ServerStreamingServer[testpb.Message]) error {
			ran.Add(1)
			return st.Err()
		},
	}
	for _, answered := range []bool{true, false} {
		w := newWorld(t, func(w *world) { w.to.tells.Tokens = answered })
		c := testpb.NewTestServiceClient(dialBufconn(t, w, s))
		for name, call := range map[string]func(context.Context) error{
			"unary": func(ctx context.Context) error {
				_, err := c.Put(ctx, message(1))
				return err
			},
			"stream": func(ctx context.Context) error { return kinds[1].call(ctx, c) },
		} {
			ran.Store(0)
			ctx, _ := w.task(t)
			err := call(ctx)
			if class, ok := grpcect.RefusedAs(err); ok || status.Code(err) != codes.PermissionDenied {
				t.Errorf("%s, answered %t: %v, refused as %v", name, answered, err, class)
			}
			details := status.Convert(err).Details()
			if len(details) != 1 || details[0].(*errdetails.ErrorInfo).GetReason() != "OTHER" {
				t.Errorf("%s, answered %t: the details are %v", name, answered, details)
			}
			if n := ran.Load(); n != 1 {
				t.Errorf("%s, answered %t: the handler ran %d times", name, answered, n)
			}
			if record := w.to.seen.last(t); record.Ext.Status != int(codes.PermissionDenied) || record.Ext.Outcome != core.OutcomeOK {
				t.Errorf("%s: recorded as %v, status %d", name, record.Ext.Outcome, record.Ext.Status)
			}
		}
	}
}
