// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

// stringCarrier holds one string for a name, as many queues do.
type stringCarrier map[string]string

func (c stringCarrier) Get(name string) []string { return []string{c[name]} }

func (c stringCarrier) Set(name string, values []string) {
	if c[name] = strings.Join(values, ", "); len(values) == 0 {
		delete(c, name)
	}
}

// inject sends a message from a task to the second service.
func (p *taskPair) inject(ctx context.Context, tb testing.TB, c core.Carrier, action, content string) *core.Dispatch {
	tb.Helper()
	d, err := core.Inject(ctx, c, p.b.Identity, core.DispatchInput{Action: action, OutHash: core.HashOf([]byte(content))})
	if err != nil {
		tb.Fatalf("Inject: %v", err)
	}
	return d
}

// extract has the second service take a message.
func (p *taskPair) extract(tb testing.TB, c core.Carrier, content string) (context.Context, *core.Task) {
	tb.Helper()
	ctx, task, err := core.Extract(tb.Context(), p.to, c, core.ExtractInput{Action: "work", Content: core.HashOf([]byte(content))})
	if err != nil {
		tb.Fatalf("Extract: %v", err)
	}
	return ctx, task
}

// TestCarrier takes messages through carriers of both kinds, with as much context as a
// peer gets, to a service that rejects missing predecessors.
func TestCarrier(t *testing.T) {
	for name, carrier := range map[string]func() core.Carrier{
		"a map":    func() core.Carrier { return core.MapCarrier{} },
		"a string": func() core.Carrier { return stringCarrier{} },
		"used once": func() core.Carrier {
			return core.MapCarrier{core.CarrierTokens: {"old"}, core.CarrierReceipts: {"old"}, "other": {"kept"}}
		},
	} {
		for _, generations := range []int{1, 3} {
			t.Run(fmt.Sprint(name, generations), func(t *testing.T) {
				p := newTaskPair(t, func(p *taskPair) {
					p.policyB.Missing, p.fromTo.Context = core.RejectMissing, generations
				})
				ctx, task := p.start(t)
				taskStep(ctx, t, task, "s1")
				taskStep(ctx, t, task, "s2")
				c := carrier()
				d := p.inject(ctx, t, c, "send", "hello")
				if m, ok := c.(core.MapCarrier); ok {
					if len(m[core.CarrierTokens]) != 1+min(generations, 2) || len(m.Get(core.CarrierReceipts)) > 0 {
						t.Errorf("the carrier holds %d tokens and %d receipts", len(m[core.CarrierTokens]), len(m.Get(core.CarrierReceipts)))
					}
					if name == "used once" && !slices.Equal(m["other"], []string{"kept"}) {
						t.Errorf("what is no token became %q", m["other"])
					}
				}
				before := c.Get(core.CarrierTokens)
				on, work := p.extract(t, c, "hello")
				if got, ok := core.TaskFromContext(on); !ok || got != work {
					t.Errorf("TaskFromContext = %v, %t", got, ok)
				}
				r, ok := core.ReceivedFromContext(on)
				if !ok || len(r.Heads()) != 1 || r.Heads()[0].Digest() != d.Issued().Digest() || len(r.Context()) != min(generations, 2) {
					t.Fatalf("what was received has %d heads and %d in context", len(r.Heads()), len(r.Context()))
				}
				if work.Workflow() != task.Workflow() || work.BodyState() != core.BodyBound {
					t.Errorf("the workflow is %v, the content %v", work.Workflow(), work.BodyState())
				}
				if !slices.Equal(c.Get(core.CarrierTokens), before) {
					t.Error("Extract changed the carrier")
				}
				a := taskFinish(on, t, work, core.Completion{Keep: true})
				claims := a.Issued.Claims()
				if claims.Action != "work" || claims.InpHash != core.HashOf([]byte("hello")) || !slices.Equal(claims.Audience, []string{p.b.Identity}) || a.Tokens != nil {
					t.Errorf("the task token says %q, input %v, for %q", claims.Action, claims.InpHash, claims.Audience)
				}
				if claims.InpHash != d.Issued().Claims().OutHash {
					t.Error("the two ends of the edge name another content")
				}
				p.toLog.wantShape(t, map[string]string{"work": "send"})
			})
		}
	}
}

// TestInjectFrontier pins what comes after a message, on the task and on its branches.
func TestInjectFrontier(t *testing.T) {
	p := newTaskPair(t)
	ctx, task := p.accept(t, p.heads(t, "head")...)
	p.inject(ctx, t, core.MapCarrier{}, "m1", "")
	p.inject(ctx, t, core.MapCarrier{}, "m2", "")
	fork := task.Fork(ctx)
	for n := range 3 {
		on := fork.Branch(ctx)
		p.inject(on, t, core.MapCarrier{}, fmt.Sprint("b", n), "")
		taskStep(on, t, task, fmt.Sprint("s", n))
	}
	fork.Join()
	d := p.inject(ctx, t, core.MapCarrier{}, "", "")
	d.Abandon() // too late: it may have been sent
	taskFinish(ctx, t, task, core.Completion{})
	p.fromLog.wantShape(t, map[string]string{
		"m1": "head", "m2": "m1", "b0": "m2", "b1": "m2", "b2": "m2", "s0": "b0", "s1": "b1", "s2": "b2",
		"dispatch": "s0+s1+s2", "task": "dispatch+head",
	})
}

// TestReply brings an answer back in a message of its own.
func TestReply(t *testing.T) {
	p := newTaskPair(t)
	ctx, task := p.start(t)
	request, reply := core.MapCarrier{}, core.MapCarrier{}
	d := p.inject(ctx, t, request, "ask", "question")
	on, work := p.extract(t, request, "question")
	a := taskFinish(on, t, work, core.Completion{OutHash: core.HashOf([]byte("answer"))})
	reply.Set(core.CarrierTokens, a.Tokens)

	in := core.Presented{Values: reply.Get(core.CarrierTokens), Content: core.HashOf([]byte("another"))}
	if _, err := d.Verify(ctx, in); core.CodeOf(err) != core.CodeBody {
		t.Errorf("Verify of another content = %v, want code %v", err, core.CodeBody)
	}
	in.Content = core.HashOf([]byte("answer"))
	if _, err := d.Verify(ctx, in); err != nil {
		t.Errorf("Verify of the reply: %v", err)
	}
	taskStep(ctx, t, task, "s")
	taskFinish(ctx, t, task, core.Completion{})
	p.fromLog.wantShape(t, map[string]string{"ask": "-", "s": "work", "task": "s"})
}

// TestInjectRefused: what cannot be dispatched leaves no token in the carrier, nor
// anything in the graph.
func TestInjectRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		on   func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) (context.Context, string)
		want error // nil is any other
	}{
		{"no task", func(t *testing.T, p *taskPair, _ context.Context, _ *core.Task) (context.Context, string) {
			return t.Context(), p.b.Identity
		}, core.ErrNoTask},
		{"a message but no task", func(t *testing.T, p *taskPair, _ context.Context, _ *core.Task) (context.Context, string) {
			r, err := p.to.Verifier().Verify(t.Context(), presented(p.a.Token(p.b.Identity).Sign(t)))
			if err != nil {
				t.Fatal(err)
			}
			return core.ContextWithReceived(t.Context(), r), p.b.Identity
		}, core.ErrNoTask},
		{"a finished task", func(t *testing.T, p *taskPair, ctx context.Context, task *core.Task) (context.Context, string) {
			taskFinish(ctx, t, task, core.Completion{})
			return ctx, p.b.Identity
		}, core.ErrTaskFinished},
		{"a joined branch", func(_ *testing.T, p *taskPair, ctx context.Context, task *core.Task) (context.Context, string) {
			on, b := task.Branch(ctx)
			b.Join()
			return on, p.b.Identity
		}, nil},
		{"a peer that is not named", func(_ *testing.T, _ *taskPair, ctx context.Context, _ *core.Task) (context.Context, string) {
			return ctx, ecttest.Name + "/stranger"
		}, core.ErrNoAudience},
		{"a peer that gets nothing", func(_ *testing.T, _ *taskPair, ctx context.Context, _ *core.Task) (context.Context, string) {
			return ctx, ecttest.Name + "/documented"
		}, core.ErrNoAudience},
		{"nobody", func(_ *testing.T, _ *taskPair, ctx context.Context, _ *core.Task) (context.Context, string) {
			return ctx, ""
		}, core.ErrNoAudience},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newTaskPair(t)
			p.from = p.domain.ServiceWithPolicy(t, p.a, p.policyA,
				[]core.Audience{p.fromTo, {ID: ecttest.Name + "/documented"}}, p.fromLog.observer())
			ctx, task := p.start(t)
			on, to := tt.on(t, p, ctx, task)
			before := p.fromLog.count()
			c := core.MapCarrier{core.CarrierTokens: {"old"}, core.CarrierReceipts: {"old"}}
			d, err := core.Inject(on, c, to, core.DispatchInput{})
			if d != nil || err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Inject = %v, %v, want %v", d, err, tt.want)
			}
			if len(c) > 0 {
				t.Errorf("the carrier holds %d names", len(c))
			}
			if p.fromLog.count() != before {
				t.Error("a token was issued")
			}
		})
	}
}

// TestInjectAction: what the issuer will not write is no message.
func TestInjectAction(t *testing.T) {
	p := newTaskPair(t)
	ctx, task := p.start(t)
	c := core.MapCarrier{}
	if d, err := core.Inject(ctx, c, p.b.Identity, core.DispatchInput{Action: "a\nb"}); err == nil || d != nil || len(c) > 0 {
		t.Errorf("Inject = %v, %v, and %d names in the carrier", d, err, len(c))
	}
	taskFinish(ctx, t, task, core.Completion{})
	p.fromLog.wantShape(t, map[string]string{"task": "-"})
}

// TestInjectWithoutHashes: a peer that gets no hashes gets a message whose content nothing
// binds.
func TestInjectWithoutHashes(t *testing.T) {
	p := newTaskPair(t, func(p *taskPair) { p.fromTo.Hashes = false })
	ctx, _ := p.start(t)
	c := core.MapCarrier{}
	if d := p.inject(ctx, t, c, "", "hello"); d.Issued().Claims().OutHash.Present {
		t.Error("the dispatch has a hash")
	}
	if _, work := p.extract(t, c, "another"); work.BodyState() != core.BodyNotBound {
		t.Errorf("the content is %v", work.BodyState())
	}
}
