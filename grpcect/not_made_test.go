// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// brokenSigner signs until it is broken, and takes its time.
type brokenSigner struct {
	core.Signer
	broken error
	takes  time.Duration
}

// Sign implements core.Signer.
func (s *brokenSigner) Sign(ctx context.Context, input []byte) ([]byte, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	if s.takes > 0 {
		select {
		case <-time.After(s.takes):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.Signer.Sign(ctx, input)
}

// signs gives a side of the world a signer that can break.
func (w *world) signs(t testing.TB, s *side) *brokenSigner {
	t.Helper()
	own, err := core.NewSigner(s.agent.Key, s.agent.KeyID)
	if err != nil {
		t.Fatal(err)
	}
	signer := &brokenSigner{Signer: own}
	issuer, err := core.NewIssuer(s.agent.Identity, signer)
	if err != nil {
		t.Fatal(err)
	}
	if s.service, err = core.NewService(s.service.Verifier(), issuer, s.service.Audiences()); err != nil {
		t.Fatal(err)
	}
	return signer
}

// TestNotMade: what keeps a call from being dispatched keeps it from being made, and says so
// with an error that leads to its cause.
func TestNotMade(t *testing.T) {
	gone := errors.New("the key service is gone")
	for _, k := range kinds {
		for name, c := range map[string]struct {
			code    codes.Code
			is      error
			class   core.Code
			prepare func(*testing.T, *world) context.Context
		}{
			"no task": {codes.FailedPrecondition, core.ErrNoTask, 0, func(t *testing.T, _ *world) context.Context { return t.Context() }},
			"a finished task": {codes.FailedPrecondition, core.ErrTaskFinished, 0, func(t *testing.T, w *world) context.Context {
				ctx, task := w.task(t)
				if _, err := task.Finish(ctx, core.Completion{}); err != nil {
					t.Fatal(err)
				}
				return ctx
			}},
			"a task of another service": {codes.FailedPrecondition, core.ErrNoAudience, 0, func(t *testing.T, w *world) context.Context {
				ctx, _, err := w.to.service.StartTask(t.Context(), "test")
				if err != nil {
					t.Fatal(err)
				}
				return ctx
			}},
			"the signer fails": {codes.Internal, gone, 0, func(t *testing.T, w *world) context.Context {
				w.signs(t, w.from).broken = gone
				ctx, _ := w.task(t)
				return ctx
			}},
			"no room in the task store": {codes.Unavailable, &core.Error{Code: core.CodeUnavailable}, core.CodeUnavailable, func(t *testing.T, w *world) context.Context {
				ctx, task := w.task(t)
				for { // until the service's own reserve is used up
					if _, err := task.Step(ctx, "step", core.StepInput{}); err != nil {
						return ctx
					}
				}
			}},
		} {
			t.Run(k.name+"/"+name, func(t *testing.T) {
				w := newWorld(t, func(w *world) { w.from.options = append(w.from.options, core.WithTaskStore(tasks(t, 16))) })
				called := false
				ctx := c.prepare(t, w)
				cc := w.plainFrom(t, hooked(talk(), func(context.Context) error { called = true; return nil }))
				issued := len(w.from.seen.tokens())
				var answer *core.Received
				err := k.call(ctx, testpb.NewTestServiceClient(cc), grpcect.Answer(&answer))
				if status.Code(err) != c.code || !errors.Is(err, c.is) || core.CodeOf(err) != c.class {
					t.Errorf("the call = %v (%v), want %v and %v", err, status.Code(err), c.code, c.is)
				}
				if called || answer != nil || len(w.from.seen.tokens()) != issued {
					t.Errorf("called %t, answered %t, %d tokens issued", called, answer != nil, len(w.from.seen.tokens())-issued)
				}
			})
		}
	}
}

// TestContextDone: a call whose context is done ends as grpc-go has it, before it is made and
// while it runs, and leaves no other code.
func TestContextDone(t *testing.T) {
	for _, k := range kinds {
		for _, deadline := range []bool{false, true} {
			for _, before := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/deadline %t/before %t", k.name, deadline, before), func(t *testing.T) {
					w := newWorld(t)
					running := make(chan struct{}, 1)
					s := hooked(talk(), func(ctx context.Context) error {
						running <- struct{}{}
						<-ctx.Done()
						return ctx.Err()
					})
					end := func(ctx context.Context) context.Context {
						if deadline {
							d := time.Now().Add(-time.Second)
							if !before {
								d = time.Now().Add(50 * time.Millisecond)
							}
							ctx, cancel := context.WithDeadline(ctx, d)
							t.Cleanup(cancel)
							return ctx
						}
						ctx, cancel := context.WithCancel(ctx)
						if before {
							cancel()
							return ctx
						}
						go func() {
							<-running
							cancel()
						}()
						return ctx
					}
					want := k.call(end(t.Context()), testpb.NewTestServiceClient(plain(t, s)))
					for len(running) > 0 {
						<-running
					}
					ctx, _ := w.task(t)
					got := k.call(end(ctx), testpb.NewTestServiceClient(dialBufconn(t, w, s)))
					code := codes.Canceled
					if deadline {
						code = codes.DeadlineExceeded
					}
					if status.Code(got) != code || status.Code(want) != code || core.CodeOf(got) != 0 {
						t.Errorf("the call = %v, without the interceptors %v", got, want)
					}
					for _, e := range []error{context.Canceled, context.DeadlineExceeded} {
						if errors.Is(want, e) && !errors.Is(got, e) {
							t.Errorf("%v is not %v, and would be without the interceptors", got, e)
						}
					}
				})
			}
		}
	}
}
