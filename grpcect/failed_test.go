// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// fails is a service that does what it does and then fails, or fails at once.
func fails(s *stub, atOnce bool, err error) *stub {
	if atOnce {
		return hooked(s, func(context.Context) error { return err })
	}
	return &stub{
		unary: func(ctx context.Context, m *testpb.Message) (*testpb.Message, error) {
			reply, _ := s.unary(ctx, m)
			return reply, err
		},
		serverStream: func(m *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
			if broken := s.serverStream(m, st); broken != nil {
				return broken
			}
			return err
		},
		clientStream: func(st grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error {
			if broken := s.clientStream(st); broken != nil {
				return broken
			}
			return err
		},
		bidi: func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
			if broken := s.bidi(st); broken != nil {
				return broken
			}
			return err
		},
	}
}

// faults are the codes that count as the server's own (profile 3.5): those of the
// OpenTelemetry conventions for gRPC servers.
var faults = []codes.Code{
	codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss,
}

// TestFailed: a handler that fails, in whatever way, is answered with a record of that, and
// what its client is told is what it would be without the interceptors.
func TestFailed(t *testing.T) {
	detailed, err := status.New(codes.FailedPrecondition, "not now, ünd with 100 %").WithDetails(&errdetails.ErrorInfo{Reason: "OWN", Domain: "test.example"})
	if err != nil {
		t.Fatal(err)
	}
	type failure struct {
		name string
		err  error
		code codes.Code
	}
	var all []failure
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		all = append(all, failure{c.String(), status.Error(c, "said the handler"), c})
	}
	all = append(all,
		failure{"OK", nil, codes.OK},
		failure{"context.Canceled", context.Canceled, codes.Canceled},
		failure{"context.DeadlineExceeded", context.DeadlineExceeded, codes.DeadlineExceeded},
		failure{"a wrapped context.Canceled", fmt.Errorf("asking: %w", context.Canceled), codes.Canceled},
		failure{"a wrapped status", fmt.Errorf("asking: %w", status.Error(codes.NotFound, "no")), codes.NotFound},
		failure{"a plain error", errors.New("broken"), codes.Unknown},
		failure{"a status with details", detailed.Err(), codes.FailedPrecondition},
		failure{"a code that is none", status.Error(99, "?"), 99},
	)
	for _, k := range kinds {
		for _, f := range all {
			for _, atOnce := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s/%t", k.name, f.name, atOnce), func(t *testing.T) {
					s := fails(talk(), atOnce, f.err)
					want := present(t, plain(t, s), k.call)
					w := newWorld(t)
					token := w.head(t)
					cc := w.bare(t, s)
					o := present(t, cc, k.call, token)
					if got, want := status.Convert(o.err), status.Convert(want.err); got.Code() != f.code || !proto.Equal(got.Proto(), want.Proto()) {
						t.Errorf("the call = %v, want %v", got, want)
					}
					outcome := core.OutcomeOK
					switch {
					case f.code == codes.Canceled:
						outcome = core.OutcomeCancelled
					case slices.Contains(faults, f.code):
						outcome = core.OutcomeError
					}
					c := w.answer(t, o).Claims()
					if c.Ext.Outcome != outcome || c.Ext.Status != int(f.code) || len(c.Pred) != 1 || c.Pred[0] != taskOf(t, token) {
						t.Errorf("recorded %+v, want %v", c.Ext, outcome)
					}
					if f.err != nil && k.name == "unary" && c.OutHash.Present {
						t.Error("out_hash of a reply that was not sent")
					}
					present(t, cc, k.call, token).refused(t, core.CodeReplayed)
					if codes := w.to.seen.codes(); len(codes) != 1 || codes[0] != core.CodeReplayed {
						t.Errorf("reported %v", codes)
					}
				})
			}
		}
	}
}

// TestFailedPair: the caller's task comes after the record of a call that failed, and gets
// the error of the call as the peer sent it.
func TestFailedPair(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			c := testpb.NewTestServiceClient(dialBufconn(t, w, fails(talk(), false, status.Error(codes.Aborted, "said the handler"))))
			ctx, task := w.task(t)
			if st := status.Convert(k.call(ctx, c)); st.Code() != codes.Aborted || st.Message() != "said the handler" {
				t.Errorf("the call = %v", st)
			}
			if _, err := task.Finish(ctx, core.Completion{}); err != nil {
				t.Fatal(err)
			}
			if end, record := w.from.seen.last(t), w.to.seen.last(t); len(end.Pred) != 1 || end.Pred[0] != record.TaskID || record.Ext.Status != int(codes.Aborted) {
				t.Errorf("the task comes after %v, want the record %+v", end.Pred, record)
			}
		})
	}
}
