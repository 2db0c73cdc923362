// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// batch is something between two interceptors that asks what is further in several times and
// ends the call itself, with what ask returns.
type batch struct {
	open, closed between
	ask          func(ctx context.Context, open, closed func() error) error
	worked       atomic.Int32
	// handles is what a handler that is reached does.
	handles func()
}

func (b *batch) between() between {
	return between{b.unary, b.stream}
}

func (b *batch) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
	asks := func(next between) func() error {
		return func() error {
			_, err := next.unary(ctx, req, info, func(context.Context, any) (any, error) {
				b.works()
				return &testpb.Message{}, nil
			})
			return err
		}
	}
	if err := b.ask(ctx, asks(b.open), asks(b.closed)); err != nil {
		return nil, err
	}
	return &testpb.Message{}, nil
}

func (b *batch) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
	asks := func(next between) func() error {
		return func() error {
			return next.stream(srv, ss, info, func(any, grpc.ServerStream) error {
				b.works()
				return nil
			})
		}
	}
	if err := b.ask(ss.Context(), asks(b.open), asks(b.closed)); err != nil {
		return err
	}
	return ss.SendMsg(&testpb.Message{})
}

func (b *batch) works() {
	b.worked.Add(1)
	if b.handles != nil {
		b.handles()
	}
}

// batched wires a server with a batch: what is closed in it asks for more than what is open.
func (w *world) batched(b *batch) {
	w.chain(nil, func(hook *grpcect.Codec) []between {
		b.open, b.closed = mounted(w.to.service, hook), mounted(w.to.service, hook, grpcect.WithMinLevel(core.L2))
		return []between{b.between()}
	})
}

func atOnce(each ...func() error) error {
	var all sync.WaitGroup
	errs := make([]error, len(each))
	for n, f := range each {
		all.Go(func() { errs[n] = f() })
	}
	all.Wait()
	return errors.Join(errs...)
}

// TestTurnedAway: something in between asks what is further in, which refuses some or all of
// it. The claim is given back, and nothing recorded, only if the call fails and no handler
// was reached; else the call is recorded, and its token spent.
func TestTurnedAway(t *testing.T) {
	served := func(ask func(open, closed func() error)) func(context.Context, func() error, func() error) error {
		return func(_ context.Context, open, closed func() error) error {
			ask(open, closed)
			return nil
		}
	}
	ignore := func(fs ...func() error) {
		for _, f := range fs {
			if err := f(); err != nil && status.Code(err) != codes.PermissionDenied {
				panic(err)
			}
		}
	}
	for name, c := range map[string]struct {
		ask    func(ctx context.Context, open, closed func() error) error
		worked int32
		code   codes.Code
		back   bool // the claim was given back
	}{
		"none refuses, served":           {served(func(open, _ func() error) { ignore(open, open) }), 2, codes.OK, false},
		"the second refuses, served":     {served(func(open, closed func() error) { ignore(open, closed) }), 1, codes.OK, false},
		"the first refuses, served":      {served(func(open, closed func() error) { ignore(closed, open) }), 1, codes.OK, false},
		"all but one refuse, served":     {served(func(open, closed func() error) { ignore(closed, open, closed) }), 1, codes.OK, false},
		"the one refuses, served":        {served(func(_, closed func() error) { ignore(closed) }), 0, codes.OK, false},
		"several refuse at once, served": {served(func(_, closed func() error) { ignore(func() error { return unjoined(atOnce(closed, closed, closed)) }) }), 0, codes.OK, false},
		"some refuse at once, served": {served(func(open, closed func() error) {
			ignore(func() error { return unjoined(atOnce(closed, open, closed, open)) })
		}), 2, codes.OK, false},
		"the one refuses":       {func(_ context.Context, _, closed func() error) error { return closed() }, 0, codes.PermissionDenied, true},
		"both refuse":           {func(_ context.Context, _, closed func() error) error { ignore(closed); return closed() }, 0, codes.PermissionDenied, true},
		"one refuses after one": {func(_ context.Context, open, closed func() error) error { ignore(open); return closed() }, 1, codes.PermissionDenied, false},
		"one refuses before one": {func(_ context.Context, open, closed func() error) error {
			err := closed()
			ignore(open)
			return err
		}, 1, codes.PermissionDenied, false},
		"refused for itself": {func(context.Context, func() error, func() error) error { return status.Error(codes.NotFound, "no") }, 0, codes.NotFound, false},
	} {
		for _, records := range []bool{true, false} {
			for _, k := range kinds {
				t.Run(fmt.Sprintf("%s/%s/%t", name, k.name, records), func(t *testing.T) {
					w := newWorld(t, acceptL1)
					if !records {
						w.verifyOnly(t)
					}
					b := &batch{ask: c.ask}
					w.batched(b)
					cc := w.bare(t, talk())
					low := w.unsigned(t)
					o := present(t, cc, said(k.name, "one"), low)
					if status.Code(o.err) != c.code || b.worked.Load() != c.worked {
						t.Fatalf("%v, the work was done %d times; want %v, %d times", o.err, b.worked.Load(), c.code, c.worked)
					}
					all := w.to.seen.tokens()
					if c.back {
						if len(all) > 0 || len(o.tokens()) > 0 {
							t.Errorf("issued %d tokens, %d came", len(all), len(o.tokens()))
						}
						again := &batch{ask: func(_ context.Context, open, _ func() error) error { return open() }}
						w.serverOptions = nil
						w.batched(again)
						if o := present(t, w.bare(t, talk()), said(k.name, "one"), low); o.err != nil {
							t.Errorf("the same token where it is enough: %v", o.err)
						}
						return
					}
					if records {
						if v := w.answer(t, o); len(all) != 1 || v.Claims().Ext.Status != int(c.code) {
							t.Errorf("issued %d tokens, status %d", len(all), v.Claims().Ext.Status)
						}
					}
					present(t, cc, said(k.name, "one"), low).refused(t, core.CodeReplayed)
				})
			}
		}
	}
}

// unjoined returns the first of joined errors.
func unjoined(err error) error {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()[0]
	}
	return err
}

// TestReachedAndPanicked: a handler further in panics once one was refused. The call is
// recorded as an error, and its token spent.
func TestReachedAndPanicked(t *testing.T) {
	for _, first := range []bool{true, false} {
		for _, k := range kinds {
			t.Run(fmt.Sprintf("%s, refused first %t", k.name, first), func(t *testing.T) {
				w := newWorld(t, acceptL1)
				b := &batch{
					ask: func(_ context.Context, open, closed func() error) error {
						if first {
							closed()
						}
						defer closed()
						return open()
					},
					handles: func() { panic("no") },
				}
				w.batched(b)
				w.recovers(true)
				low := w.unsigned(t)
				cc := w.bare(t, talk())
				if o := present(t, cc, said(k.name, "one"), low); status.Code(o.err) != codes.Internal || len(o.tokens()) > 0 {
					t.Errorf("%v, %d tokens came", o.err, len(o.tokens()))
				}
				if c := w.to.seen.last(t); c.Ext.Outcome != core.OutcomeError || len(c.Pred) != 1 {
					t.Errorf("recorded %+v", c)
				}
				present(t, cc, said(k.name, "one"), low).refused(t, core.CodeReplayed)
			})
		}
	}
}

// TestActedThenTurnedAway: something on the way in acted in the task before an interceptor
// further in refuses. What was issued has a task that was recorded, and the token is spent.
func TestActedThenTurnedAway(t *testing.T) {
	for _, none := range []bool{true, false} {
		for _, k := range kinds {
			t.Run(fmt.Sprintf("%s, without a token %t", k.name, none), func(t *testing.T) {
				w := newWorld(t, acceptL1)
				w.chain(mode(core.Optional), func(hook *grpcect.Codec) []between {
					step := func(ctx context.Context) {
						task, ok := core.TaskFromContext(ctx)
						if !ok {
							t.Fatal("there is no task")
						}
						if _, err := task.Step(ctx, "ask", core.StepInput{}); err != nil {
							t.Errorf("Step: %v", err)
						}
					}
					return []between{
						{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
							step(ctx)
							return handler(ctx, req)
						}, func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
							step(ss.Context())
							return handler(srv, ss)
						}},
						mounted(w.to.service, hook, grpcect.WithMinLevel(core.L2)),
					}
				})
				cc := w.bare(t, hooked(talk(), func(context.Context) error { t.Error("the handler was called"); return nil }))
				var tokens []string
				code := core.CodeRequired
				if !none {
					tokens, code = []string{w.unsigned(t)}, core.CodeLevel
				}
				o := present(t, cc, k.call, tokens...)
				isRefusal(t, o.err, code, nil)
				all := w.to.seen.tokens()
				if len(all) != 2 {
					t.Fatalf("issued %d tokens, want the step and the task", len(all))
				}
				step, task := all[0].Claims(), all[1].Claims()
				if step.Workflow != task.Workflow || len(task.Pred) == 0 || task.Ext.Status != int(codes.PermissionDenied) {
					t.Errorf("the step %+v, the task %+v", step, task)
				}
				if !none {
					present(t, cc, k.call, tokens...).refused(t, core.CodeReplayed)
				}
			})
		}
	}
}
