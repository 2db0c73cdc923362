// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/id"
	"github.com/go-ect/ect/ecttest"
)

// taskLog keeps what a service issued and accepted, by observer.
type taskLog struct {
	mu       sync.Mutex
	issued   []*core.Issued
	received []*core.Verified
	rejected []*core.Error
	// names are the actions of all tokens, by what an edge says; order is when an edge
	// became known.
	names map[taskEdge]string
	preds map[taskEdge][]taskEdge
	// unknown are the edges of issued tokens that named nothing known at that time.
	unknown []taskEdge
}

type taskEdge struct {
	task   core.UUID
	digest id.Short
}

func newTaskLog() *taskLog {
	return &taskLog{names: map[taskEdge]string{}, preds: map[taskEdge][]taskEdge{}}
}

func (l *taskLog) observer() core.VerifierOption {
	return core.WithObserver(core.Observer{
		Issued: func(_ context.Context, i *core.Issued) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.issued = append(l.issued, i)
			l.add(i.Claims(), i.Digest(), true)
		},
		Verified: func(_ context.Context, r *core.Received, _ core.VerifyInfo) {
			l.mu.Lock()
			defer l.mu.Unlock()
			for _, v := range append(r.Heads(), r.Context()...) {
				l.received = append(l.received, v)
				l.add(v.Claims(), v.Digest(), false)
			}
		},
		Rejected: func(_ context.Context, err *core.Error, _ core.VerifyInfo) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.rejected = append(l.rejected, err)
		},
	})
}

func (l *taskLog) add(c core.Claims, d core.Digest, ours bool) {
	e := taskEdge{c.TaskID, d.Short()}
	l.names[e] = c.Action
	l.preds[e] = nil
	for n, p := range c.Pred {
		to := taskEdge{task: p}
		if n < len(c.Ext.PredDigests) {
			to.digest = c.Ext.PredDigests[n]
		}
		if _, known := l.names[to]; ours && !known {
			l.unknown = append(l.unknown, to)
		}
		l.preds[e] = append(l.preds[e], to)
	}
}

func (l *taskLog) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.issued)
}

// shape tells of each issued token, by action, what it came after: "a+b", sorted.
func (l *taskLog) shape() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := map[string]string{}
	for _, i := range l.issued {
		var preds []string
		for _, p := range l.preds[taskEdge{i.Claims().TaskID, i.Digest().Short()}] {
			name := l.names[p]
			if name == "" {
				name = "?"
			}
			preds = append(preds, name)
		}
		slices.Sort(preds)
		name := i.Claims().Action
		for s[name] != "" {
			name += "'"
		}
		s[name] = strings.Join(preds, "+")
		if len(preds) == 0 {
			s[name] = "-"
		}
	}
	return s
}

func (l *taskLog) wantShape(t *testing.T, want map[string]string) {
	t.Helper()
	if d := cmp.Diff(want, l.shape()); d != "" {
		t.Errorf("the shape (-want +got):\n%s", d)
	}
}

// ancestors returns all that is known to come before a token, and the token.
func (l *taskLog) ancestors(i *core.Issued) map[taskEdge]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[taskEdge]bool{}
	queue := []taskEdge{{i.Claims().TaskID, i.Digest().Short()}}
	for len(queue) > 0 {
		e := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if !seen[e] {
			seen[e] = true
			queue = append(queue, l.preds[e]...)
		}
	}
	return seen
}

// taskPair is two services of one domain, each of which knows the other.
type taskPair struct {
	domain           *ecttest.Domain
	a, b             *ecttest.Agent
	from, to         *core.Service
	fromLog, toLog   *taskLog
	fromTo, toFrom   core.Audience
	policyA, policyB core.Policy
}

// newTaskPair returns services "from" and "to", which allow partial graphs. The change
// is made before they are built.
func newTaskPair(tb testing.TB, change ...func(*taskPair)) *taskPair {
	tb.Helper()
	d := ecttest.NewDomain()
	p := &taskPair{domain: d, a: d.Agent(tb, "from"), b: d.Agent(tb, "to"), fromLog: newTaskLog(), toLog: newTaskLog()}
	p.policyA, p.policyB = p.a.Policy(), p.b.Policy()
	p.policyA.Missing, p.policyB.Missing = core.AllowPartial, core.AllowPartial
	p.fromTo = core.Audience{ID: p.b.Identity, Tokens: true, Hashes: true}
	p.toFrom = core.Audience{ID: p.a.Identity, Tokens: true, Hashes: true}
	for _, c := range change {
		c(p)
	}
	p.from = d.ServiceWithPolicy(tb, p.a, p.policyA, []core.Audience{p.fromTo}, p.fromLog.observer())
	p.to = d.ServiceWithPolicy(tb, p.b, p.policyB, []core.Audience{p.toFrom}, p.toLog.observer())
	return p
}

// start starts a root task of the first service.
func (p *taskPair) start(tb testing.TB) (context.Context, *core.Task) {
	tb.Helper()
	ctx, task, err := p.from.StartTask(tb.Context(), "task")
	if err != nil {
		tb.Fatalf("StartTask: %v", err)
	}
	return ctx, task
}

// accept starts a task of the first service that a message of the second asked for.
func (p *taskPair) accept(tb testing.TB, heads ...string) (context.Context, *core.Task) {
	tb.Helper()
	return taskAccept(tb.Context(), tb, p.from, heads...)
}

func taskAccept(ctx context.Context, tb testing.TB, s *core.Service, tokens ...string) (context.Context, *core.Task) {
	tb.Helper()
	r, err := s.Verifier().Verify(ctx, presented(tokens...))
	if err != nil {
		tb.Fatalf("Verify: %v", err)
	}
	ctx, task, err := s.AcceptTask(ctx, r, "task")
	if err != nil {
		tb.Fatalf("AcceptTask: %v", err)
	}
	return ctx, task
}

// serve lets the second service answer a dispatch.
func (p *taskPair) serve(ctx context.Context, tb testing.TB, d *core.Dispatch) []string {
	tb.Helper()
	ctx, task := taskAccept(ctx, tb, p.to, d.Tokens()...)
	a := taskFinish(ctx, tb, task, core.Completion{Action: d.Issued().Claims().Action + "!"})
	if len(a.Tokens) == 0 {
		tb.Fatal("there is no answer")
	}
	return a.Tokens
}

func (p *taskPair) dispatch(ctx context.Context, tb testing.TB, task *core.Task, action string) *core.Dispatch {
	tb.Helper()
	d, err := task.Dispatch(ctx, p.fromTo, core.DispatchInput{Action: action})
	if err != nil {
		tb.Fatalf("Dispatch(%q): %v", action, err)
	}
	return d
}

// answer has a dispatch answered and takes the answer in.
func (p *taskPair) answer(ctx context.Context, tb testing.TB, d *core.Dispatch) {
	tb.Helper()
	if _, err := d.Verify(ctx, presented(p.serve(ctx, tb, d)...)); err != nil {
		tb.Fatalf("Verify of an answer: %v", err)
	}
}

// call is a dispatch and its answer.
func (p *taskPair) call(ctx context.Context, tb testing.TB, task *core.Task, action string) {
	tb.Helper()
	p.answer(ctx, tb, p.dispatch(ctx, tb, task, action))
}

func taskStep(ctx context.Context, tb testing.TB, task *core.Task, action string) *core.Issued {
	tb.Helper()
	i, err := task.Step(ctx, action, core.StepInput{})
	if err != nil {
		tb.Fatalf("Step(%q): %v", action, err)
	}
	return i
}

func taskFinish(ctx context.Context, tb testing.TB, task *core.Task, c core.Completion) *core.Answer {
	tb.Helper()
	a, err := task.Finish(ctx, c)
	if err != nil {
		tb.Fatalf("Finish: %v", err)
	}
	return a
}

// heads are roots of the second service that the first is asked with.
func (p *taskPair) heads(tb testing.TB, actions ...string) (texts []string) {
	tb.Helper()
	w := id.NewWorkflow().String()
	for _, a := range actions {
		texts = append(texts, p.b.Token(p.a.Identity).With("exec_act", a).With("wid", w).Sign(tb))
	}
	return texts
}

func TestStartTask(t *testing.T) {
	p := newTaskPair(t)
	ctx, task := p.start(t)
	if got, ok := core.TaskFromContext(ctx); !ok || got != task {
		t.Errorf("TaskFromContext() = %p, %t, want %p", got, ok, task)
	}
	if r, ok := task.Received(); ok || r != nil || len(task.Heads()) > 0 || task.Answerable() {
		t.Errorf("a root task received %v", r)
	}
	if r, ok := core.ReceivedFromContext(ctx); ok {
		t.Errorf("ReceivedFromContext() = %v", r)
	}
	a := taskFinish(ctx, t, task, core.Completion{})
	c := a.Issued.Claims()
	if a.Tokens != nil || !slices.Equal(c.Audience, []string{p.a.Identity}) || len(c.Pred) > 0 {
		t.Errorf("a root task is answered: %v, aud %q, pred %v", a.Tokens, c.Audience, c.Pred)
	}
	if c.TaskID != task.ID() || c.Workflow != task.Workflow() || !c.Workflow.Present || c.Action != "task" {
		t.Errorf("the task token says %+v", c)
	}
	_, other := p.start(t)
	if other.Workflow() == task.Workflow() || other.ID() == task.ID() {
		t.Error("two root tasks have an id or a workflow in common")
	}
	for _, action := range []string{"", "a\nb", strings.Repeat("a", core.MaxActionBytes+1), "\xff"} {
		if ctx, task, err := p.from.StartTask(t.Context(), action); err == nil || task != nil || ctx != t.Context() {
			t.Errorf("StartTask(%q) = %v, %v", action, task, err)
		}
	}
}

func TestTaskAction(t *testing.T) {
	long := strings.Repeat("a", core.MaxActionBytes)
	for _, tt := range []struct{ name, set, completion, want string }{
		{"neither", "", "", "task"},
		{"completion", "", "POST /x", "POST /x"},
		{"set", "mine", "", "mine"},
		{"both", "mine", "POST /x", "mine"},
		{"completion that is none", "", "a\x00b", "task"},
		{"longest", long, "", long},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newTaskPair(t)
			ctx, task := p.start(t)
			if tt.set != "" {
				if err := task.SetAction(tt.set); err != nil {
					t.Fatalf("SetAction: %v", err)
				}
			}
			for _, bad := range []string{"", "\x7f\u2028", long + "a"} {
				if err := task.SetAction(bad); err == nil {
					t.Errorf("SetAction(%q) succeeds", bad)
				}
			}
			if got := taskFinish(ctx, t, task, core.Completion{Action: tt.completion}).Issued.Claims().Action; got != tt.want {
				t.Errorf("the action is %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTaskFinished(t *testing.T) {
	p := newTaskPair(t)
	ctx, task := p.start(t)
	branch, b := task.Branch(ctx)
	open := p.dispatch(ctx, t, task, "open")
	answers := p.serve(t.Context(), t, open)
	taskFinish(ctx, t, task, core.Completion{})
	issued := p.fromLog.count()
	after, _ := task.Branch(ctx)
	for name, do := range map[string]func() error{
		"Finish":            func() error { _, err := task.Finish(ctx, core.Completion{}); return err },
		"Step":              func() error { _, err := task.Step(ctx, "s", core.StepInput{}); return err },
		"Step on a branch":  func() error { _, err := task.Step(branch, "s", core.StepInput{}); return err },
		"Step on a new one": func() error { _, err := task.Step(after, "s", core.StepInput{}); return err },
		"Step off the task": func() error { _, err := task.Step(t.Context(), "s", core.StepInput{}); return err },
		"Dispatch":          func() error { _, err := task.Dispatch(ctx, p.fromTo, core.DispatchInput{}); return err },
		"Dispatch, branch":  func() error { _, err := task.Dispatch(branch, p.fromTo, core.DispatchInput{}); return err },
		"SetAction":         func() error { return task.SetAction("s") },
		"Annotate":          func() error { return task.Annotate("com.example.a", json.RawMessage(`1`)) },
		"Checkpoint":        func() error { return task.Checkpoint(core.PolicyCheckpoint{Policy: "p", Decision: core.Approved}) },
	} {
		if err := do(); !errors.Is(err, core.ErrTaskFinished) {
			t.Errorf("%s after Finish: %v, want ErrTaskFinished", name, err)
		}
	}
	b.Join()
	open.Done()
	open.Abandon()
	if _, err := open.Verify(ctx, presented(answers...)); err != nil {
		t.Errorf("Verify of an answer after Finish: %v", err)
	}
	if n := p.fromLog.count(); n != issued {
		t.Errorf("%d tokens were issued after Finish", n-issued)
	}
	p.fromLog.wantShape(t, map[string]string{"open": "-", "task": "open"})
}

// TestNothingIssuedAfterTheEnd is TestTaskFinished with a frontier so wide that the next
// token would need a join step first.
func TestNothingIssuedAfterTheEnd(t *testing.T) {
	p := newTaskPair(t)
	ctx, task := p.start(t)
	wide := func(ctx context.Context) {
		var all []*core.Dispatch
		for n := range core.MaxFrontier + 3 {
			all = append(all, p.dispatch(ctx, t, task, fmt.Sprint("d", n)))
		}
		for _, d := range all {
			d.Done()
		}
	}
	branch, b := task.Branch(ctx)
	wide(branch)
	b.Join()
	issued := p.fromLog.count()
	if _, err := task.Step(branch, "late", core.StepInput{}); err == nil {
		t.Error("Step on a joined branch succeeds")
	}
	if n := p.fromLog.count(); n != issued {
		t.Errorf("%d tokens were issued on a joined branch", n-issued)
	}
	wide(ctx)
	taskFinish(ctx, t, task, core.Completion{})
	issued = p.fromLog.count()
	if _, err := task.Step(ctx, "late", core.StepInput{}); !errors.Is(err, core.ErrTaskFinished) {
		t.Errorf("Step after Finish: %v", err)
	}
	if _, err := task.Dispatch(ctx, p.fromTo, core.DispatchInput{}); !errors.Is(err, core.ErrTaskFinished) {
		t.Errorf("Dispatch after Finish: %v", err)
	}
	if n := p.fromLog.count(); n != issued {
		t.Errorf("%d tokens were issued after Finish", n-issued)
	}
}

func TestAnswerGoesTo(t *testing.T) {
	d := ecttest.NewDomain()
	me, a, b, other := d.Agent(t, "me"), d.Agent(t, "a"), d.Agent(t, "b"), d.Agent(t, "other")
	full := core.Audience{Tokens: true, Hashes: true}
	as := func(a core.Audience, id *ecttest.Agent, change func(*core.Audience)) core.Audience {
		a.ID = id.Identity
		if change != nil {
			change(&a)
		}
		return a
	}
	noHashes := func(a *core.Audience) { a.Hashes = false }
	noTokens := func(a *core.Audience) { a.Tokens = false }
	old := func(a *core.Audience) { a.Revision = core.Revision00 }
	for _, tt := range []struct {
		name      string
		audiences []core.Audience
		heads     []*ecttest.Agent
		aud       []string // whom it goes to, none if it stays
		hashes    bool
		revision  core.Revision
	}{
		{"nobody named", nil, []*ecttest.Agent{a}, nil, true, core.Revision01},
		{"another named", []core.Audience{as(full, other, nil)}, []*ecttest.Agent{a}, nil, true, core.Revision01},
		{"no tokens", []core.Audience{as(full, a, noTokens)}, []*ecttest.Agent{a}, nil, true, core.Revision01},
		{"one", []core.Audience{as(full, a, nil)}, []*ecttest.Agent{a}, []string{a.Identity}, true, core.Revision01},
		{"one of two", []core.Audience{as(full, b, nil)}, []*ecttest.Agent{a, b}, []string{b.Identity}, true, core.Revision01},
		{"two", []core.Audience{as(full, a, nil), as(full, b, nil)}, []*ecttest.Agent{b, a}, []string{b.Identity, a.Identity}, true, core.Revision01},
		{"one twice", []core.Audience{as(full, a, nil)}, []*ecttest.Agent{a, a}, []string{a.Identity}, true, core.Revision01},
		{"without hashes", []core.Audience{as(full, a, noHashes)}, []*ecttest.Agent{a}, []string{a.Identity}, false, core.Revision01},
		{"one without hashes", []core.Audience{as(full, a, nil), as(full, b, noHashes)}, []*ecttest.Agent{a, b}, []string{a.Identity, b.Identity}, false, core.Revision01},
		{"old names", []core.Audience{as(full, a, old)}, []*ecttest.Agent{a}, []string{a.Identity}, true, core.Revision00},
		{"old names for one", []core.Audience{as(full, a, nil), as(full, b, old)}, []*ecttest.Agent{a, b}, []string{a.Identity, b.Identity}, true, core.Revision00},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := d.ServiceWithPolicy(t, me, me.Policy(), tt.audiences)
			var heads []string
			w := id.NewWorkflow()
			for n, h := range tt.heads {
				heads = append(heads, h.Token(me.Identity).With("wid", w.String()).With("exec_act", fmt.Sprint("h", n)).Sign(t))
			}
			ctx, task := taskAccept(t.Context(), t, s, heads...)
			if got := task.Answerable(); got != (tt.aud != nil) {
				t.Errorf("Answerable() = %t", got)
			}
			in, out := core.Hash{Sum: [32]byte{1}, Present: true}, core.Hash{Sum: [32]byte{2}, Present: true}
			ans := taskFinish(ctx, t, task, core.Completion{InpHash: in, OutHash: out, Status: 503, Outcome: core.OutcomeError})
			c := ans.Issued.Claims()
			want := tt.aud
			if want == nil {
				want = []string{me.Identity}
			}
			if d := cmp.Diff(want, c.Audience); d != "" {
				t.Errorf("aud (-want +got):\n%s", d)
			}
			if tt.aud == nil != (ans.Tokens == nil) || tt.aud != nil && ans.Tokens[0] != ans.Issued.Text() {
				t.Errorf("Tokens = %q", ans.Tokens)
			}
			if !tt.hashes {
				in, out = core.Hash{}, core.Hash{}
			}
			if c.InpHash != in || c.OutHash != out {
				t.Errorf("the hashes are %v, %v, want %v, %v", c.InpHash, c.OutHash, in, out)
			}
			if c.Workflow != w || len(c.Pred) != len(tt.heads) || c.Ext.Status != 503 || c.Ext.Outcome != core.OutcomeError {
				t.Errorf("the task token says %+v", c)
			}
			if got := taskWrites00(t, ans.Issued.Text()); got != (tt.revision == core.Revision00) {
				t.Errorf("the token has the names of -00: %t", got)
			}
		})
	}
}

// taskPayload returns the JSON of a token.
func taskPayload(tb testing.TB, text string) json.RawMessage {
	tb.Helper()
	u, err := core.ParseWithoutVerification(text)
	if err != nil {
		tb.Fatalf("ParseWithoutVerification: %v", err)
	}
	return u.PayloadWithoutVerification()
}

// taskWrites00 tells whether a token has the wire names of revision -00.
func taskWrites00(tb testing.TB, text string) bool {
	tb.Helper()
	var payload map[string]json.RawMessage
	if err := json.Unmarshal(taskPayload(tb, text), &payload); err != nil {
		tb.Fatal(err)
	}
	_, par := payload["par"]
	_, pred := payload["pred"]
	if par == pred {
		tb.Errorf("the token has par: %t, pred: %t", par, pred)
	}
	return par
}

func TestUnsignedHeadsAreAnsweredByClaim(t *testing.T) {
	d := ecttest.NewDomain()
	me, a := d.Agent(t, "me"), d.Agent(t, "a")
	p := me.Policy()
	p.MinLevel = core.L1
	s := d.ServiceWithPolicy(t, me, p, []core.Audience{{ID: a.Identity, Tokens: true}})
	ctx, task := taskAccept(t.Context(), t, s, a.Token(me.Identity).Unsigned(t))
	if got := taskFinish(ctx, t, task, core.Completion{}); len(got.Tokens) != 1 {
		t.Errorf("a head with iss is answered with %q", got.Tokens)
	}
	ctx, task = taskAccept(t.Context(), t, s, a.Token(me.Identity).Without("iss").Unsigned(t))
	if got := taskFinish(ctx, t, task, core.Completion{}); got.Tokens != nil {
		t.Errorf("a head without iss is answered with %q", got.Tokens)
	}
}

func TestTaskWorkflow(t *testing.T) {
	d := ecttest.NewDomain()
	me, a := d.Agent(t, "me"), d.Agent(t, "a")
	w1, w2 := id.NewWorkflow(), id.NewWorkflow()
	none := core.Workflow{}
	head := func(w core.Workflow) string {
		tok := a.Token(me.Identity)
		if w.Present {
			tok.With("wid", w.String())
		}
		return tok.Sign(t)
	}
	for _, tt := range []struct {
		name  string
		heads []core.Workflow
		named map[core.Workflow]core.Workflow // what goes on; nil: no predicate
		want  core.Workflow
		code  core.Code
	}{
		{"of the head", []core.Workflow{w1}, nil, w1, 0},
		{"absent", []core.Workflow{none}, nil, none, 0},
		{"of both heads", []core.Workflow{w1, w1}, nil, w1, 0},
		{"absent from both", []core.Workflow{none, none}, nil, none, 0},
		{"different", []core.Workflow{w1, w2}, nil, none, core.CodeWorkflow},
		{"absent from one", []core.Workflow{w1, none}, nil, none, core.CodeWorkflow},
		{"different, one named", []core.Workflow{w1, w2}, map[core.Workflow]core.Workflow{w1: w2, w2: w2}, w2, 0},
		{"different, a third", []core.Workflow{w1, none}, map[core.Workflow]core.Workflow{w1: w2, none: w2}, w2, 0},
		{"different, absent goes on", []core.Workflow{w1, w2}, map[core.Workflow]core.Workflow{w1: none, w2: none}, none, 0},
		{"different, two named", []core.Workflow{w1, w2}, map[core.Workflow]core.Workflow{w1: w1, w2: w2}, none, core.CodeWorkflow},
		{"different, one admitted", []core.Workflow{w1, w2}, map[core.Workflow]core.Workflow{w1: w1}, none, core.CodeWorkflow},
		{"different, none admitted", []core.Workflow{w1, w2}, map[core.Workflow]core.Workflow{}, none, core.CodeWorkflow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := me.Policy()
			if tt.named != nil {
				p.CrossWorkflow = func(e core.CrossWorkflowEdge) (core.Workflow, bool) {
					if e.Child != (core.UUID{}) || e.ChildWorkflow.Present || e.ChildIssuer != me.Identity || e.PredIssuer != a.Identity {
						t.Errorf("the edge is %+v", e)
					}
					w, ok := tt.named[e.PredWorkflow]
					return w, ok
				}
			}
			log := newTaskLog()
			s := d.ServiceWithPolicy(t, me, p, []core.Audience{{ID: a.Identity, Tokens: true}}, log.observer())
			var heads []string
			for _, w := range tt.heads {
				heads = append(heads, head(w))
			}
			r, err := s.Verifier().Verify(t.Context(), presented(heads...))
			if core.CodeOf(err) != tt.code {
				t.Fatalf("Verify = %v, want code %v", err, tt.code)
			}
			if err != nil {
				return
			}
			ctx, task, err := s.AcceptTask(t.Context(), r, "task")
			if err != nil {
				t.Fatalf("AcceptTask: %v", err)
			}
			if got, ok := task.Received(); !ok || got != r || task.Workflow() != tt.want {
				t.Errorf("Received() = %p, %t; Workflow() = %v, want %v", got, ok, task.Workflow(), tt.want)
			}
			taskStep(ctx, t, task, "step")
			taskFinish(ctx, t, task, core.Completion{})
			for _, i := range log.issued {
				if i.Claims().Workflow != tt.want {
					t.Errorf("the workflow of %q is %v, want %v", i.Claims().Action, i.Claims().Workflow, tt.want)
				}
			}
		})
	}
}

// taskFiller is a JSON string such that an annotation "com.example.a" with it is of a
// size in ect_ext, its braces included.
func taskFiller(size int) json.RawMessage {
	return json.RawMessage(`"` + strings.Repeat("x", size-len(`{"com.example.a":""}`)) + `"`)
}

func TestAnnotate(t *testing.T) {
	p := newTaskPair(t)
	ctx, task := p.start(t)
	ok := func(name, value string) {
		t.Helper()
		if err := task.Annotate(name, json.RawMessage(value)); err != nil {
			t.Errorf("Annotate(%q, %q): %v", name, value, err)
		}
	}
	bad := func(name, value string) {
		t.Helper()
		if err := task.Annotate(name, json.RawMessage(value)); err == nil {
			t.Errorf("Annotate(%q, %q) succeeds", name, value)
		}
	}
	ok("com.example.model", `"m-1"`)
	ok("com.example.deep", `[[[[1]]]]`)
	ok("com.example.model", `"m-2"`)
	bad("com.example.deep", `[[[[[1]]]]]`)
	bad("model", `1`)
	bad("pol", `"p"`)
	bad("com.example.none", ``)
	bad("com.example.open", `{`)
	bad("com.example.two", `1 2`)
	bad("com.example.twice", `{"a":1,"a":2}`)
	bad("com.example.model", `1}`)
	bad("com.example.text", "\"\xff\"")
	bad("com.\xff", `1`)
	bad("com.example.a", string(taskFiller(core.MaxTaskExtBytes)))
	c := taskFinish(ctx, t, task, core.Completion{}).Issued
	for name, want := range map[string]string{"com.example.model": `"m-2"`, "com.example.deep": `[[[[1]]]]`, "com.example.two": "", "com.example.a": ""} {
		u, err := core.ParseWithoutVerification(c.Text())
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := u.ClaimsWithoutVerification().Ext.Member(name); string(got) != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// TestAnnotateIsOneValue is about a value that is no JSON by itself, but would be beside
// the other members.
func TestAnnotateIsOneValue(t *testing.T) {
	for _, value := range []string{`1,"com.example.b":2`, `1,"pred_dig":[]`, `1,"pol":"p","pol_decision":"approved"`, `1,"outcome":"error"`} {
		p := newTaskPair(t)
		ctx, task := p.start(t)
		if err := task.Annotate("com.example.a", json.RawMessage(value)); err == nil {
			t.Errorf("Annotate(%q) succeeds", value)
		}
		if _, err := task.Finish(ctx, core.Completion{Status: 200}); err != nil {
			t.Errorf("Finish after Annotate(%q): %v", value, err)
		}
	}
}

func TestAnnotateIsCopied(t *testing.T) {
	p := newTaskPair(t)
	ctx, task := p.start(t)
	value := []byte(`"before"`)
	if err := task.Annotate("com.example.a", value); err != nil {
		t.Fatal(err)
	}
	copy(value, `"after!"`)
	if text := string(taskPayload(t, taskFinish(ctx, t, task, core.Completion{}).Issued.Text())); !strings.Contains(text, "before") {
		t.Errorf("the annotation changed: %s", text)
	}
}

func TestTaskExtLimit(t *testing.T) {
	checkpoint := core.PolicyCheckpoint{Policy: "p", Decision: core.PendingHumanReview, Enforcer: "e", Time: time.Unix(1_790_000_000, 0)}
	const pol = `"pol":"p","pol_decision":"pending_human_review","pol_enforcer":"e","pol_timestamp":1790000000,`
	for _, tt := range []struct {
		name string
		do   func(*core.Task) error
		ok   bool
	}{
		{"annotation, at", func(t *core.Task) error { return t.Annotate("com.example.a", taskFiller(core.MaxTaskExtBytes)) }, true},
		{"annotation, over", func(t *core.Task) error { return t.Annotate("com.example.a", taskFiller(core.MaxTaskExtBytes+1)) }, false},
		{"both, at", func(t *core.Task) error {
			return errors.Join(t.Checkpoint(checkpoint), t.Annotate("com.example.a", taskFiller(core.MaxTaskExtBytes-len(pol))))
		}, true},
		{"both, annotation over", func(t *core.Task) error {
			return errors.Join(t.Checkpoint(checkpoint), t.Annotate("com.example.a", taskFiller(core.MaxTaskExtBytes-len(pol)+1)))
		}, false},
		{"both, checkpoint over", func(t *core.Task) error {
			return errors.Join(t.Annotate("com.example.a", taskFiller(core.MaxTaskExtBytes-len(pol)+1)), t.Checkpoint(checkpoint))
		}, false},
		{"two annotations", func(t *core.Task) error {
			return errors.Join(t.Annotate("com.example.b", json.RawMessage(`1`)), t.Annotate("com.example.a", taskFiller(core.MaxTaskExtBytes-len(`"com.example.b":1,`))))
		}, true},
		{"two annotations, over", func(t *core.Task) error {
			return errors.Join(t.Annotate("com.example.b", json.RawMessage(`1`)), t.Annotate("com.example.a", taskFiller(core.MaxTaskExtBytes)))
		}, false},
		{"the same again", func(t *core.Task) error {
			return errors.Join(t.Annotate("com.example.a", taskFiller(core.MaxTaskExtBytes)), t.Annotate("com.example.a", taskFiller(core.MaxTaskExtBytes)))
		}, true},
		{"far over what a token takes", func(t *core.Task) error { return t.Annotate("com.example.a", taskFiller(100_000)) }, false},
		{"checkpoint without policy", func(t *core.Task) error { return t.Checkpoint(core.PolicyCheckpoint{Decision: core.Approved}) }, false},
		{"checkpoint without decision", func(t *core.Task) error { return t.Checkpoint(core.PolicyCheckpoint{Policy: "p"}) }, false},
		{"checkpoint, no such decision", func(t *core.Task) error { return t.Checkpoint(core.PolicyCheckpoint{Policy: "p", Decision: "maybe"}) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newTaskPair(t)
			head := p.b.Token(p.a.Identity)
			ctx, task := p.accept(t, head.Sign(t))
			// As many predecessors as there can be beside one head.
			for n := range core.MaxFrontier {
				p.dispatch(ctx, t, task, fmt.Sprint("d", n))
			}
			if err := tt.do(task); (err == nil) != tt.ok {
				t.Errorf("the error is %v, want one: %t", err, !tt.ok)
			}
			a, err := task.Finish(ctx, core.Completion{Outcome: core.OutcomeCancelled, Status: 65535})
			if err != nil {
				t.Fatalf("Finish: %v", err)
			}
			if _, err := p.to.Verifier().Verify(t.Context(), presented(a.Tokens...)); err != nil {
				t.Errorf("Verify of the task token: %v", err)
			}
		})
	}
}

func TestCheckpointLastOneStands(t *testing.T) {
	p := newTaskPair(t)
	ctx, task := p.start(t)
	last := core.PolicyCheckpoint{Policy: "second", Decision: core.Rejected, Time: time.Unix(1_790_000_000, 0)}
	for _, c := range []core.PolicyCheckpoint{{Policy: "first", Decision: core.Approved, Enforcer: "e"}, last} {
		if err := task.Checkpoint(c); err != nil {
			t.Fatalf("Checkpoint(%+v): %v", c, err)
		}
	}
	if err := task.Checkpoint(core.PolicyCheckpoint{Policy: "third"}); err == nil {
		t.Error("a checkpoint without a decision is taken")
	}
	u, err := core.ParseWithoutVerification(taskFinish(ctx, t, task, core.Completion{}).Issued.Text())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&last, u.ClaimsWithoutVerification().Ext.Policy); d != "" {
		t.Errorf("the checkpoint (-want +got):\n%s", d)
	}
}

// TestAsManyHeadsAsThereCanBe finishes a task of the most heads that a policy may allow,
// with a frontier and annotations that are as large as they may be.
func TestAsManyHeadsAsThereCanBe(t *testing.T) {
	for _, full := range []bool{false, true} {
		t.Run(fmt.Sprintf("annotations=%t", full), func(t *testing.T) {
			p := newTaskPair(t, func(p *taskPair) {
				p.policyA.Limits = core.Limits{Tokens: core.MaxTokens, TotalBytes: 1 << 20}
			})
			var heads []string
			for range core.MaxTokens {
				heads = append(heads, p.b.Token(p.a.Identity).Sign(t))
			}
			ctx, task := p.accept(t, heads...)
			for n := range core.MaxFrontier {
				p.dispatch(ctx, t, task, fmt.Sprint("d", n))
			}
			if full {
				if err := task.Annotate("com.example.a", taskFiller(core.MaxTaskExtBytes)); err != nil {
					t.Fatal(err)
				}
			}
			a, err := task.Finish(ctx, core.Completion{Outcome: core.OutcomeCancelled, Status: 499})
			if err != nil {
				t.Fatalf("Finish: %v", err)
			}
			if n := len(a.Issued.Claims().Pred); n > core.MaxIssuedPred || n < core.MaxTokens {
				t.Errorf("the task token names %d", n)
			}
			if _, err := p.to.Verifier().Verify(t.Context(), presented(a.Tokens...)); err != nil {
				t.Errorf("Verify of the task token: %v", err)
			}
		})
	}
}

// taskSigner is a signer that fails, or waits, when it is told to.
type taskSigner struct {
	core.Signer
	before func(context.Context) error
}

func (s *taskSigner) Sign(ctx context.Context, input []byte) ([]byte, error) {
	if err := s.before(ctx); err != nil {
		return nil, err
	}
	return s.Signer.Sign(ctx, input)
}

func taskServiceWithSigner(tb testing.TB, d *ecttest.Domain, a *ecttest.Agent, before func(context.Context) error, opts ...core.VerifierOption) *core.Service {
	tb.Helper()
	s, err := core.NewSigner(a.Key, a.KeyID)
	if err != nil {
		tb.Fatal(err)
	}
	i, err := core.NewIssuer(a.Identity, &taskSigner{s, before})
	if err != nil {
		tb.Fatal(err)
	}
	svc, err := core.NewService(verifier(tb, d, a.Policy(), opts...), i, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return svc
}

func TestSigningFails(t *testing.T) {
	d := ecttest.NewDomain()
	failed := errors.New("the key is away")
	var now error
	log := newTaskLog()
	s := taskServiceWithSigner(t, d, d.Agent(t, "a"), func(context.Context) error { return now }, log.observer())
	ctx, task, err := s.StartTask(t.Context(), "task")
	if err != nil {
		t.Fatal(err)
	}
	taskStep(ctx, t, task, "one")
	now = failed
	if _, err := task.Step(ctx, "two", core.StepInput{}); !errors.Is(err, failed) {
		t.Errorf("Step = %v, want %v", err, failed)
	}
	now = nil
	taskStep(ctx, t, task, "three")
	now = failed
	if a, err := task.Finish(ctx, core.Completion{}); !errors.Is(err, failed) || a != nil {
		t.Errorf("Finish = %v, %v, want %v", a, err, failed)
	}
	now = nil
	if _, err := task.Finish(ctx, core.Completion{}); !errors.Is(err, core.ErrTaskFinished) {
		t.Errorf("Finish again = %v, want ErrTaskFinished", err)
	}
	log.wantShape(t, map[string]string{"one": "-", "three": "one"})
}

// TestFinishWhileStepping finishes a task while a step is being signed: the step is
// refused, since nothing comes after it.
func TestFinishWhileStepping(t *testing.T) {
	d := ecttest.NewDomain()
	a := d.Agent(t, "a")
	in, out := make(chan struct{}), make(chan struct{})
	type key struct{}
	s := taskServiceWithSigner(t, d, a, func(ctx context.Context) error {
		if ctx.Value(key{}) != nil {
			close(in)
			<-out
		}
		return nil
	})
	ctx, task, err := s.StartTask(t.Context(), "task")
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := task.Step(context.WithValue(ctx, key{}, true), "slow", core.StepInput{})
		result <- err
	}()
	<-in
	if got := taskFinish(ctx, t, task, core.Completion{}).Issued.Claims().Pred; len(got) != 0 {
		t.Errorf("the task token names %v", got)
	}
	close(out)
	if err := <-result; !errors.Is(err, core.ErrTaskFinished) {
		t.Errorf("Step = %v, want ErrTaskFinished", err)
	}
}

func TestBodyState(t *testing.T) {
	p := newTaskPair(t)
	_, task := p.start(t)
	for state, want := range map[core.BodyState]string{core.BodyNotBound: "not bound", core.BodyPending: "pending", core.BodyBound: "bound", 9: "not bound"} {
		task.SetBodyState(state)
		if got := task.BodyState(); got != state || got.String() != want {
			t.Errorf("BodyState() = %v, want %q", got, want)
		}
	}
}

func TestStepSays(t *testing.T) {
	p := newTaskPair(t)
	ctx, task := p.start(t)
	in := core.StepInput{
		InpHash: core.Hash{Sum: [32]byte{1}, Present: true}, OutHash: core.Hash{Sum: [32]byte{2}, Present: true},
		Outcome: core.OutcomeError, Policy: &core.PolicyCheckpoint{Policy: "p", Decision: core.Approved},
		Members: map[string]json.RawMessage{"com.example.a": json.RawMessage(`[1]`)},
	}
	i, err := task.Step(ctx, "step", in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := verifier(t, p.domain, p.policyA).Verify(t.Context(), presented(i.Text()))
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	c := r.Heads()[0].Claims()
	member, _ := c.Ext.Member("com.example.a")
	if c.InpHash != in.InpHash || c.OutHash != in.OutHash || c.Ext.Outcome != core.OutcomeError || *c.Ext.Policy != *in.Policy ||
		string(member) != `[1]` || c.Audience[0] != p.a.Identity || c.Action != "step" || c.Workflow != task.Workflow() {
		t.Errorf("the step says %+v", c)
	}
	for _, action := range []string{"", "\n"} {
		if _, err := task.Step(ctx, action, core.StepInput{}); err == nil {
			t.Errorf("Step(%q) succeeds", action)
		}
	}
	if _, err := task.Step(ctx, "s", core.StepInput{Members: map[string]json.RawMessage{"a": nil}}); err == nil {
		t.Error("Step with a bad member succeeds")
	}
	taskFinish(ctx, t, task, core.Completion{})
	p.fromLog.wantShape(t, map[string]string{"step": "-", "task": "step"})
}
