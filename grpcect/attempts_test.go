// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/retry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// repeating returns the interceptors of a library that makes calls again, up to four times.
func repeating() []grpc.DialOption {
	opts := []retry.CallOption{
		retry.WithMax(4), retry.WithCodes(codes.Unavailable, codes.ResourceExhausted, codes.Aborted),
		retry.WithBackoff(retry.BackoffLinear(time.Microsecond)),
	}
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(retry.UnaryClientInterceptor(opts...)),
		grpc.WithChainStreamInterceptor(retry.StreamClientInterceptor(opts...)),
	}
}

// repeatable are the kinds of calls that such a library makes again.
var repeatable = kinds[:2]

// TestRetryOutside: each attempt of a library further out is a dispatch of its own, with an
// answer of its own, and comes after the one before.
func TestRetryOutside(t *testing.T) {
	for _, k := range repeatable {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			s, called := failsFirst(2, errTryAgain)
			cc := dialTCP(t, w, s, repeating()...)
			ctx, task := w.task(t)
			var answer *core.Received
			if err := k.call(ctx, testpb.NewTestServiceClient(cc), grpcect.Answer(&answer)); err != nil {
				t.Fatal(err)
			}
			dispatches, records := w.from.seen.tokens(), w.to.seen.tokens()
			if called.Load() != 3 || len(dispatches) != 3 || len(records) != 3 {
				t.Fatalf("called %d times, %d dispatches, %d records", called.Load(), len(dispatches), len(records))
			}
			var before []core.UUID
			for n := range dispatches {
				d, r := dispatches[n].Claims(), records[n].Claims()
				if diff := cmp.Diff([][]core.UUID{before, {d.TaskID}}, [][]core.UUID{d.Pred, r.Pred}, equateEmpty); diff != "" {
					t.Errorf("attempt %d, pred of dispatch and record (-want +got):\n%s", n, diff)
				}
				before = []core.UUID{r.TaskID}
			}
			if got := answer.Heads()[0].Claims().TaskID; got != before[0] {
				t.Errorf("the answer is %v, want that of the last attempt", got)
			}
			w.after(ctx, t, task, before...)
		})
	}
}

// TestRetryUnseen: an attempt that the peer refused before it let the token in is one that it
// never saw, and what comes after it needs it as context where the peer asks for all
// predecessors.
func TestRetryUnseen(t *testing.T) {
	for _, k := range repeatable {
		for _, c := range []struct {
			context int
			missing core.MissingPolicy
			good    bool
		}{
			{0, core.RejectMissing, false}, {1, core.RejectMissing, true}, {0, core.AllowPartial, true},
		} {
			t.Run(fmt.Sprintf("%s/%d generations/%v", k.name, c.context, c.missing), func(t *testing.T) {
				w := newWorld(t, func(w *world) {
					w.from.tells.Context, w.to.policy.Missing = c.context, c.missing
					w.to.options = append(w.to.options, core.WithObserver(core.Observer{
						Rejected: func(context.Context, *core.Error, core.VerifyInfo) { w.domain.Fail(nil) },
					}))
				})
				w.domain.Fail(errors.New("no keys now"))
				cc := dialTCP(t, w, talk(), repeating()...)
				ctx, task := w.task(t)
				err := k.call(ctx, testpb.NewTestServiceClient(cc))
				issued := w.from.seen.tokens()
				if len(issued) != 2 {
					t.Fatalf("%d dispatches, want 2", len(issued))
				}
				if diff := cmp.Diff([]core.UUID{issued[0].Claims().TaskID}, issued[1].Claims().Pred); diff != "" {
					t.Errorf("the second dispatch comes after (-want +got):\n%s", diff)
				}
				if !c.good {
					isRefusal(t, err, core.CodePredMissing, nil)
					w.after(ctx, t, task, issued[1].Claims().TaskID)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				w.after(ctx, t, task, w.to.seen.last(t).TaskID)
			})
		}
	}
}

// TestNoRetry: what the library itself fails a call with that was made is none that such
// libraries make again: the handler would run twice.
func TestNoRetry(t *testing.T) {
	for _, k := range repeatable {
		for name, c := range map[string]struct {
			connect func(*testing.T, *world, *stub) *grpc.ClientConn
			during  func(*world)
		}{
			"no answer": {func(t *testing.T, w *world, s *stub) *grpc.ClientConn {
				t.Helper()
				return w.plainFrom(t, s, repeating()...)
			}, func(*world) {}},
			"no keys for the answer": {func(t *testing.T, w *world, s *stub) *grpc.ClientConn {
				t.Helper()
				return dialTCP(t, w, s, repeating()...)
			}, func(w *world) { w.domain.Fail(errors.New("no keys now")) }},
		} {
			t.Run(k.name+"/"+name, func(t *testing.T) {
				w := newWorld(t)
				called := 0
				cc := c.connect(t, w, hooked(talk(), func(context.Context) error {
					called++
					c.during(w)
					return nil
				}))
				ctx, _ := w.task(t)
				err := k.call(ctx, testpb.NewTestServiceClient(cc))
				if status.Code(err) != codes.Internal || called != 1 || len(w.from.seen.tokens()) != 1 {
					t.Errorf("%v, called %d times, %d dispatches", err, called, len(w.from.seen.tokens()))
				}
			})
		}
	}
}
