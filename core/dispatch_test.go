// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

func TestDispatchSays(t *testing.T) {
	out := core.Hash{Sum: [32]byte{7}, Present: true}
	for _, tt := range []struct {
		name     string
		change   func(*core.Audience)
		in       core.DispatchInput
		action   string
		out      core.Hash
		revision core.Revision
	}{
		{"default", func(*core.Audience) {}, core.DispatchInput{OutHash: out}, "dispatch", out, core.Revision01},
		{"action", func(*core.Audience) {}, core.DispatchInput{Action: "POST /x"}, "POST /x", core.Hash{}, core.Revision01},
		{"no hashes", func(a *core.Audience) { a.Hashes = false }, core.DispatchInput{OutHash: out}, "dispatch", core.Hash{}, core.Revision01},
		{"old names", func(a *core.Audience) { a.Revision = core.Revision00 }, core.DispatchInput{OutHash: out}, "dispatch", out, core.Revision00},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newTaskPair(t, func(p *taskPair) { tt.change(&p.fromTo) })
			ctx, task := p.start(t)
			d, err := task.Dispatch(ctx, p.fromTo, tt.in)
			if err != nil {
				t.Fatalf("Dispatch: %v", err)
			}
			r, err := p.to.Verifier().Verify(t.Context(), presented(d.Tokens()...))
			if err != nil {
				t.Fatalf("Verify: %v", err)
			}
			c := r.Heads()[0].Claims()
			if c.Action != tt.action || c.OutHash != tt.out || c.InpHash.Present || !slices.Equal(c.Audience, []string{p.b.Identity}) || c.Workflow != task.Workflow() {
				t.Errorf("the dispatch says %+v", c)
			}
			if got := taskWrites00(t, d.Issued().Text()); got != (tt.revision == core.Revision00) {
				t.Errorf("the dispatch has the names of -00: %t", got)
			}
			// A step for this service itself has the names of -01.
			if taskWrites00(t, taskStep(ctx, t, task, "s").Text()) {
				t.Error("a step has the names of -00")
			}
			tokens := d.Tokens()
			tokens[0] = "changed"
			if d.Tokens()[0] != d.Issued().Text() {
				t.Error("Tokens() can be changed")
			}
		})
	}
}

func TestDispatchRefused(t *testing.T) {
	p := newTaskPair(t)
	ctx, task := p.start(t)
	for name, to := range map[string]core.Audience{
		"nobody":      {},
		"not named":   {ID: "spiffe://test.example/other", Tokens: true},
		"the service": {ID: p.a.Identity, Tokens: true},
	} {
		if d, err := task.Dispatch(ctx, to, core.DispatchInput{}); err == nil || d != nil {
			t.Errorf("Dispatch to %s = %v, %v", name, d, err)
		}
	}
	if d, err := task.Dispatch(ctx, p.fromTo, core.DispatchInput{Action: "\n"}); err == nil || d != nil {
		t.Errorf("Dispatch with a bad action = %v, %v", d, err)
	}
	taskFinish(ctx, t, task, core.Completion{})
	p.fromLog.wantShape(t, map[string]string{"task": "-"})

	silent := newTaskPair(t, func(p *taskPair) { p.fromTo.Tokens = false })
	ctx, task = silent.start(t)
	if d, err := task.Dispatch(ctx, core.Audience{ID: silent.b.Identity, Tokens: true}, core.DispatchInput{}); err == nil || d != nil {
		t.Errorf("Dispatch to an audience that gets no tokens = %v, %v", d, err)
	}
}

// actions names the tokens of a message, in order.
func (p *taskPair) actions(tb testing.TB, tokens []string) (all []string) {
	tb.Helper()
	for _, text := range tokens {
		u, err := core.ParseWithoutVerification(text)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, u.ClaimsWithoutVerification().Action)
	}
	return all
}

func TestDispatchContext(t *testing.T) {
	for context, want := range []string{
		"last",
		"last x! y!",
		"last x! y! x y",
		"last x! y! x y s",
		"last x! y! x y s h1 h2",
		"last x! y! x y s h1 h2",
	} {
		t.Run(fmt.Sprint(context), func(t *testing.T) {
			p := newTaskPair(t, func(p *taskPair) { p.fromTo.Context = context })
			ctx, task := p.accept(t, p.heads(t, "h1", "h2")...)
			taskStep(ctx, t, task, "s")
			x, y := p.dispatch(ctx, t, task, "x"), p.dispatch(ctx, t, task, "y")
			p.answer(ctx, t, x)
			p.answer(ctx, t, y)
			d := p.dispatch(ctx, t, task, "last")
			if got := strings.Join(p.actions(t, d.Tokens()), " "); got != want {
				t.Errorf("the message is %q, want %q", got, want)
			}
			r, err := p.to.Verifier().Verify(t.Context(), presented(d.Tokens()...))
			if err != nil {
				t.Fatalf("Verify: %v", err)
			}
			if len(r.Heads()) != 1 || len(r.Context()) != len(d.Tokens())-1 {
				t.Errorf("the message has %d heads and %d of context", len(r.Heads()), len(r.Context()))
			}
		})
	}
}

func TestAnswerContext(t *testing.T) {
	for context, want := range []string{
		"task",
		"task x! y",
		"task x! y x s",
		"task x! y x s",
	} {
		t.Run(fmt.Sprint(context), func(t *testing.T) {
			p := newTaskPair(t, func(p *taskPair) { p.fromTo.Context = context })
			ctx, task := p.accept(t, p.heads(t, "h1", "h2")...)
			x := p.dispatch(ctx, t, task, "x")
			taskStep(ctx, t, task, "s")
			y := p.dispatch(ctx, t, task, "y")
			p.answer(ctx, t, x)
			y.Done()
			got := p.actions(t, taskFinish(ctx, t, task, core.Completion{}).Tokens)
			if d := cmp.Diff(want, strings.Join(got, " ")); d != "" {
				t.Errorf("the answer (-want +got):\n%s", d)
			}
		})
	}
}

// TestAnswerContextOfTwo answers two services, of which one may have less.
func TestAnswerContextOfTwo(t *testing.T) {
	d := ecttest.NewDomain()
	me, a, b := d.Agent(t, "me"), d.Agent(t, "a"), d.Agent(t, "b")
	for _, tt := range []struct{ a, b, want int }{{0, 0, 0}, {2, 0, 0}, {0, 2, 0}, {2, 1, 1}, {2, 2, 2}} {
		s := d.Service(t, me, core.Audience{ID: a.Identity, Tokens: true, Context: tt.a}, core.Audience{ID: b.Identity, Tokens: true, Context: tt.b})
		ctx, task := taskAccept(t.Context(), t, s, a.Token(me.Identity).Sign(t), b.Token(me.Identity).Sign(t))
		taskStep(ctx, t, task, "s1")
		taskStep(ctx, t, task, "s2")
		taskStep(ctx, t, task, "s3")
		if got := len(taskFinish(ctx, t, task, core.Completion{}).Tokens); got != tt.want+1 {
			t.Errorf("with %d and %d generations the answer has %d tokens, want %d", tt.a, tt.b, got, tt.want+1)
		}
	}
}

func TestContextLimits(t *testing.T) {
	t.Run("tokens", func(t *testing.T) {
		p := newTaskPair(t, func(p *taskPair) { p.fromTo.Context = core.MaxContext })
		ctx, task := p.start(t)
		var all []*core.Dispatch
		for n := range core.MaxFrontier {
			all = append(all, p.dispatch(ctx, t, task, fmt.Sprint("x", n)))
		}
		for _, d := range all {
			p.answer(ctx, t, d)
		}
		d := p.dispatch(ctx, t, task, "last")
		if n := len(d.Tokens()); n != core.DefaultTokens {
			t.Errorf("the message has %d tokens, want %d", n, core.DefaultTokens)
		}
		// Nearest first: all answers, and what is left is for dispatches.
		for n, a := range p.actions(t, d.Tokens()) {
			if answer := strings.HasSuffix(a, "!"); n > 0 && answer != (n <= core.MaxFrontier) {
				t.Errorf("token %d is %q", n, a)
			}
		}
		if _, err := p.to.Verifier().Verify(t.Context(), presented(d.Tokens()...)); err != nil {
			t.Errorf("Verify: %v", err)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		p := newTaskPair(t, func(p *taskPair) { p.fromTo.Context = core.MaxContext })
		ctx, task := p.start(t)
		for n := range 14 {
			_, err := task.Step(ctx, fmt.Sprint("s", n), core.StepInput{Members: map[string]json.RawMessage{
				"com.example.a": taskFiller(3500),
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		d := p.dispatch(ctx, t, task, "last")
		total := len(strings.Join(d.Tokens(), ", "))
		if total > core.DefaultTotalBytes || len(d.Tokens()) < 6 {
			t.Errorf("the message has %d tokens and %d bytes", len(d.Tokens()), total)
		}
		if _, err := p.to.Verifier().Verify(t.Context(), core.Presented{Values: []string{strings.Join(d.Tokens(), ", ")}}); err != nil {
			t.Errorf("Verify: %v", err)
		}
	})
	t.Run("each once", func(t *testing.T) {
		p := newTaskPair(t, func(p *taskPair) { p.fromTo.Context = core.MaxContext })
		ctx, task := p.accept(t, p.heads(t, "h1", "h2")...)
		for n := range 3 { // diamonds
			x, y := p.dispatch(ctx, t, task, fmt.Sprint("x", n)), p.dispatch(ctx, t, task, fmt.Sprint("y", n))
			x.Done()
			y.Done()
			taskStep(ctx, t, task, fmt.Sprint("s", n))
		}
		tokens := p.dispatch(ctx, t, task, "last").Tokens()
		sorted := slices.Sorted(slices.Values(tokens))
		if n := len(slices.Compact(sorted)); n != len(tokens) || n != 1+9+2 {
			t.Errorf("the message is %q", p.actions(t, tokens))
		}
	})
}

// TestVerifyAnswer holds answers against the dispatch they answer.
func TestVerifyAnswer(t *testing.T) {
	type answers = func(t *testing.T, p *taskPair, d, other *core.Dispatch) []string
	third := func(t *testing.T, p *taskPair) *ecttest.Agent { return p.domain.Agent(t, "third") }
	after := func(t *testing.T, from *ecttest.Agent, p *taskPair, bound bool, preds ...string) string {
		t.Helper()
		return from.Token(p.a.Identity).After(t, bound, preds...).Sign(t)
	}
	for _, tt := range []struct {
		name string
		give answers
		code core.Code
	}{
		{"good", func(t *testing.T, p *taskPair, d, _ *core.Dispatch) []string { return p.serve(t.Context(), t, d) }, 0},
		{"not bound", func(t *testing.T, p *taskPair, d, _ *core.Dispatch) []string {
			return []string{after(t, p.b, p, false, d.Issued().Text())}
		}, 0},
		{"with what is missing here", func(t *testing.T, p *taskPair, d, _ *core.Dispatch) []string {
			far := p.b.Token(p.b.Identity).With("wid", d.Issued().Claims().Workflow.String()).Sign(t)
			return []string{after(t, p.b, p, true, far, d.Issued().Text())}
		}, 0},
		{"with both dispatches", func(t *testing.T, p *taskPair, d, other *core.Dispatch) []string {
			return []string{after(t, p.b, p, true, other.Issued().Text(), d.Issued().Text())}
		}, 0},
		{"with the dispatch as context", func(t *testing.T, p *taskPair, d, _ *core.Dispatch) []string {
			return append(p.serve(t.Context(), t, d), d.Issued().Text())
		}, 0},
		{"none", func(*testing.T, *taskPair, *core.Dispatch, *core.Dispatch) []string { return nil }, core.CodeRequired},
		{"to another dispatch", func(t *testing.T, p *taskPair, _, other *core.Dispatch) []string {
			return p.serve(t.Context(), t, other)
		}, core.CodeAnswer},
		{"to no dispatch", func(t *testing.T, p *taskPair, d, _ *core.Dispatch) []string {
			return []string{p.b.Token(p.a.Identity).With("wid", d.Issued().Claims().Workflow.String()).Sign(t)}
		}, core.CodeAnswer},
		{"by another identity", func(t *testing.T, p *taskPair, d, _ *core.Dispatch) []string {
			return []string{after(t, third(t, p), p, true, d.Issued().Text())}
		}, core.CodeAnswer},
		{"by the service itself", func(t *testing.T, p *taskPair, d, _ *core.Dispatch) []string {
			return []string{after(t, p.a, p, true, d.Issued().Text())}
		}, core.CodeAnswer},
		{"the dispatch itself", func(_ *testing.T, _ *taskPair, d, _ *core.Dispatch) []string { return d.Tokens() }, core.CodeAudience},
		{"two heads", func(t *testing.T, p *taskPair, d, _ *core.Dispatch) []string {
			return []string{after(t, p.b, p, true, d.Issued().Text()), after(t, p.b, p, true, d.Issued().Text())}
		}, core.CodeAnswer},
		{"two heads by two", func(t *testing.T, p *taskPair, d, _ *core.Dispatch) []string {
			return []string{after(t, p.b, p, true, d.Issued().Text()), after(t, third(t, p), p, true, d.Issued().Text())}
		}, core.CodeAnswer},
		{"the dispatch further back", func(t *testing.T, p *taskPair, d, _ *core.Dispatch) []string {
			far := p.b.Token(p.b.Identity).After(t, true, d.Issued().Text()).Sign(t)
			return []string{after(t, p.b, p, true, far), far}
		}, core.CodeAnswer},
		{"to somebody else", func(t *testing.T, p *taskPair, d, _ *core.Dispatch) []string {
			return []string{p.b.Token(p.b.Identity).After(t, true, d.Issued().Text()).Sign(t)}
		}, core.CodeAudience},
		{"another digest", func(t *testing.T, p *taskPair, d, _ *core.Dispatch) []string {
			tok := p.b.Token(p.a.Identity).After(t, true, d.Issued().Text())
			tok.Claims["ect_ext"] = map[string]any{"pred_dig": []string{strings.Repeat("A", 22)}}
			return []string{tok.Sign(t)}
		}, core.CodePredDigest},
		{"another workflow", func(t *testing.T, p *taskPair, d, _ *core.Dispatch) []string {
			return []string{p.b.Token(p.a.Identity).After(t, true, d.Issued().Text()).Without("wid").Sign(t)}
		}, core.CodeWorkflow},
		{"garbage", func(*testing.T, *taskPair, *core.Dispatch, *core.Dispatch) []string { return []string{"a.b"} }, core.CodeMalformed},
		{"unsigned", func(t *testing.T, p *taskPair, d, _ *core.Dispatch) []string {
			return []string{p.b.Token(p.a.Identity).After(t, true, d.Issued().Text()).Unsigned(t)}
		}, core.CodeLevel},
	} {
		for _, missing := range []core.MissingPolicy{core.RejectMissing, core.AllowPartial} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, missing), func(t *testing.T) {
				p := newTaskPair(t, func(p *taskPair) { p.policyA.Missing = missing })
				ctx, task := p.start(t)
				d, other := p.dispatch(ctx, t, task, "d"), p.dispatch(ctx, t, task, "other")
				tokens := tt.give(t, p, d, other)
				r, err := d.Verify(ctx, presented(tokens...))
				if got := core.CodeOf(err); got != tt.code {
					t.Fatalf("Verify = %v, want code %v", err, tt.code)
				}
				if (r == nil) != (err != nil) {
					t.Errorf("Verify = %v, %v", r, err)
				}
				other.Abandon()
				preds := taskFinish(ctx, t, task, core.Completion{}).Issued.Claims().Pred
				want := d.Issued().Claims().TaskID
				if err == nil {
					want = r.Heads()[0].Claims().TaskID
				}
				if !slices.Equal(preds, []core.UUID{want}) {
					t.Errorf("the task token names %v, want %v", preds, want)
				}
			})
		}
	}
}

// TestAnswerTwice presents an answer again: under OncePerInstance it is refused, and
// else it changes nothing.
func TestAnswerTwice(t *testing.T) {
	for _, tt := range []struct {
		mode core.ReplayMode
		code core.Code
	}{{core.ReplayOncePerInstance, core.CodeReplayed}, {core.ReplayIdempotent, 0}, {core.ReplayOff, 0}} {
		p := newTaskPair(t, func(p *taskPair) { p.policyA.Replay = tt.mode })
		ctx, task := p.start(t)
		d := p.dispatch(ctx, t, task, "d")
		answer := p.serve(t.Context(), t, d)
		if _, err := d.Verify(ctx, presented(answer...)); err != nil {
			t.Fatalf("Verify: %v", err)
		}
		taskStep(ctx, t, task, "s")
		if _, err := d.Verify(ctx, presented(answer...)); core.CodeOf(err) != tt.code {
			t.Errorf("Verify again = %v, want code %v", err, tt.code)
		}
		taskFinish(ctx, t, task, core.Completion{})
		p.fromLog.wantShape(t, map[string]string{"d": "-", "s": "d!", "task": "s"})
	}
}

// TestRoundTrips runs several services in a row, each of which rejects what is missing
// and gives one generation of context.
func TestRoundTrips(t *testing.T) {
	d := ecttest.NewDomain()
	names := []string{"a", "b", "c", "d"}
	services := map[string]*core.Service{}
	logs := map[string]*taskLog{}
	for _, n := range names {
		var to []core.Audience
		for _, o := range names {
			if o != n {
				to = append(to, core.Audience{ID: d.Agent(t, o).Identity, Tokens: true, Context: 1, Hashes: true})
			}
		}
		a := d.Agent(t, n)
		if a.Policy().Missing != core.RejectMissing {
			t.Fatal("the policy of an agent allows partial graphs")
		}
		logs[n] = newTaskLog()
		services[n] = d.ServiceWithPolicy(t, a, a.Policy(), to, logs[n].observer())
	}
	var call func(ctx context.Context, task *core.Task, from, to string, then ...string)
	call = func(ctx context.Context, task *core.Task, from, to string, then ...string) {
		t.Helper()
		peer, _ := services[from].Audiences().ByID(d.Agent(t, to).Identity)
		dispatch, err := task.Dispatch(ctx, peer, core.DispatchInput{Action: from + ">" + to})
		if err != nil {
			t.Fatalf("Dispatch from %s to %s: %v", from, to, err)
		}
		theirs, served := taskAccept(ctx, t, services[to], dispatch.Tokens()...)
		if len(then) > 0 {
			call(theirs, served, to, then[0], then[1:]...)
		}
		if err := served.SetAction(to); err != nil {
			t.Fatal(err)
		}
		answer := taskFinish(theirs, t, served, core.Completion{})
		r, err := dispatch.Verify(ctx, presented(answer.Tokens...))
		if err != nil {
			t.Fatalf("the answer of %s to %s: %v", to, from, err)
		}
		h := r.Heads()[0]
		if h.Issuer() != d.Agent(t, to).Identity || h.LowestLevel() != core.L2 || h.EdgesBound() != core.Yes || h.Claims().Workflow != task.Workflow() {
			t.Errorf("the answer of %s is %+v", to, h.Claims())
		}
	}
	ctx, task, err := services["a"].StartTask(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	call(ctx, task, "a", "b")                // b knows nothing yet
	call(ctx, task, "a", "c")                // c has to be shown b's answer
	call(ctx, task, "a", "d", "c", "b", "a") // back to a, whose task is still running
	taskStep(ctx, t, task, "step")
	call(ctx, task, "a", "b", "c")
	taskFinish(ctx, t, task, core.Completion{})
	logs["a"].wantShape(t, map[string]string{
		"a>b": "-", "a>c": "b", "a>d": "c", "step": "d", "a>b'": "step", "a": "b>a", "a'": "b",
	})
	for n, l := range logs {
		if len(l.unknown) > 0 || len(l.rejected) > 0 {
			t.Errorf("%s named %v, which it never saw, and rejected %v", n, l.unknown, l.rejected)
		}
	}
}

// TestMissingNeedsContext is the same with no context given.
func TestMissingNeedsContext(t *testing.T) {
	for _, tt := range []struct {
		context int
		code    core.Code
	}{{0, core.CodePredMissing}, {1, 0}, {2, 0}} {
		p := newTaskPair(t, func(p *taskPair) {
			p.policyB.Missing = core.RejectMissing
			p.fromTo.Context = tt.context
		})
		ctx, task := p.start(t)
		taskStep(ctx, t, task, "s1") // for this service alone
		taskStep(ctx, t, task, "s2")
		d := p.dispatch(ctx, t, task, "d")
		r, err := p.to.Verifier().Verify(t.Context(), presented(d.Tokens()...))
		if core.CodeOf(err) != tt.code {
			t.Errorf("Verify with %d generations = %v, want code %v", tt.context, err, tt.code)
		}
		if err != nil {
			continue
		}
		h := r.Heads()[0]
		if complete := tt.context == 2; (h.Complete() == core.Yes) != complete || len(h.Missing()) > 0 || len(h.Predecessors()) != 1 {
			t.Errorf("with %d generations: complete %v, missing %v", tt.context, h.Complete(), h.Missing())
		}
	}
}
