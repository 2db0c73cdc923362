// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestCallWithoutAnswer: a call that went well and brought no answer fails where one is required.
// One that failed is its own error in either case.
func TestCallWithoutAnswer(t *testing.T) {
	failure := status.Error(codes.NotFound, "said the handler")
	for _, k := range kinds {
		for _, required := range []bool{true, false} {
			for _, fail := range []error{nil, failure} {
				t.Run(fmt.Sprintf("%s/required %t/%v", k.name, required, fail), func(t *testing.T) {
					w := newWorld(t, func(w *world) {
						w.from.tells.Answer = core.AnswerOptional
						if required {
							w.from.tells.Answer = core.AnswerRequired
						}
					})
					cc := w.plainFrom(t, fails(talk(), false, fail))
					ctx, task := w.task(t)
					var answer *core.Received
					err := k.call(ctx, testpb.NewTestServiceClient(cc), grpcect.Answer(&answer))
					var reported []core.Code
					switch {
					case fail != nil:
						if st := status.Convert(err); st.Code() != codes.NotFound || st.Message() != "said the handler" || core.CodeOf(err) != 0 {
							t.Errorf("the call = %v", err)
						}
					case required:
						reported = []core.Code{core.CodeAnswer}
						if status.Code(err) != codes.Internal || core.CodeOf(err) != core.CodeAnswer {
							t.Errorf("the call = %v", err)
						}
					case err != nil:
						t.Errorf("the call = %v", err)
					}
					if diff := cmp.Diff(reported, w.from.seen.codes()); diff != "" || answer != nil {
						t.Errorf("an answer: %t; reported (-want +got):\n%s", answer != nil, diff)
					}
					w.after(ctx, t, task, w.from.seen.tokens()[0].Claims().TaskID) // the call was made
				})
			}
		}
	}
}

// after finishes a task and holds what it comes after against what it should.
func (w *world) after(ctx context.Context, t testing.TB, task *core.Task, want ...core.UUID) {
	t.Helper()
	if _, err := task.Finish(context.WithoutCancel(ctx), core.Completion{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, w.from.seen.last(t).Pred, equateEmpty); diff != "" {
		t.Errorf("the task comes after (-want +got):\n%s", diff)
	}
}

// TestAnswerMisplaced: an answer in the header is not right, whatever came of the call. The
// error of a call that failed keeps its status, and leads to what is wrong as well.
func TestAnswerMisplaced(t *testing.T) {
	detailed, err := status.New(codes.FailedPrecondition, "said the handler").WithDetails(&errdetails.ErrorInfo{Reason: "OWN", Domain: "test.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		for name, fail := range map[string]error{"went well": nil, "failed": detailed.Err()} {
			for _, trailing := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/in the trailer too %t", k.name, name, trailing), func(t *testing.T) {
					w := newWorld(t, func(w *world) { w.from.tells.Answer = core.AnswerOptional })
					token := w.to.agent.Token(w.from.agent.Identity).Sign(t)
					header, trailer := metadata.Pairs(core.CarrierTokens, token), metadata.MD(nil)
					if trailing {
						trailer = header
					}
					cc := w.plainFrom(t, fails(hooked(talk(), func(ctx context.Context) error {
						return errors.Join(grpc.SetHeader(ctx, header), grpc.SetTrailer(ctx, trailer))
					}), false, fail))
					ctx, task := w.task(t)
					err := k.call(ctx, testpb.NewTestServiceClient(cc))
					want := status.New(codes.Internal, "")
					if fail != nil {
						want = detailed
						if got := status.Convert(err); !proto.Equal(got.Proto(), want.Proto()) || !errors.As(err, new(*core.Error)) {
							t.Errorf("the call = %v, want %v", got.Proto(), want.Proto())
						}
					}
					if status.Code(err) != want.Code() || core.CodeOf(err) != core.CodeMalformed {
						t.Errorf("the call = %v", err)
					}
					w.after(ctx, t, task, w.from.seen.tokens()[0].Claims().TaskID)
				})
			}
		}
	}
}

// TestNoAnswerVerifies: an answer that cannot be verified, for want of keys or of room in the
// task store, fails a call with a code that nothing takes for one to call again on, since the
// call was made.
func TestNoAnswerVerifies(t *testing.T) {
	for _, k := range kinds {
		for name, c := range map[string]struct {
			before func(*testing.T, *world)
			during func(*world)
		}{
			"no keys": {func(*testing.T, *world) {}, func(w *world) { w.domain.Fail(errors.New("no keys now")) }},
			"no room": {func(t *testing.T, w *world) {
				w.from.options = append(w.from.options, core.WithTaskStore(tasks(t, 1)))
				// The rest of a store is for what is the service's own.
			}, func(*world) {}},
		} {
			t.Run(k.name+"/"+name, func(t *testing.T) {
				w := newWorld(t, func(w *world) { c.before(t, w) })
				cc := testpb.NewTestServiceClient(dialBufconn(t, w, hooked(talk(), func(context.Context) error {
					c.during(w)
					return nil
				})))
				ctx, task := w.task(t)
				err := k.call(ctx, cc)
				if status.Code(err) != codes.Internal || core.CodeOf(err) != core.CodeUnavailable {
					t.Errorf("the call = %v (%v)", err, status.Code(err))
				}
				w.domain.Fail(nil)
				w.after(ctx, t, task, w.from.seen.tokens()[0].Claims().TaskID)
			})
		}
	}
}

// tasks is a task store with little room.
func tasks(t testing.TB, n int) dag.Store {
	t.Helper()
	m, err := dag.NewMemory(dag.MemoryConfig{MaxTasks: n})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
