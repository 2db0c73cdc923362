// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/ecttest"
)

func TestNewService(t *testing.T) {
	d := ecttest.NewDomain()
	a, b := d.Agent(t, "a"), d.Agent(t, "b")
	v := verifier(t, d, a.Policy())
	if s, err := core.NewService(nil, a.Issuer(t), nil); err == nil || s != nil {
		t.Errorf("NewService without a verifier = %v, %v", s, err)
	}
	if s, err := core.NewService(v, b.Issuer(t), nil); err == nil || s != nil || !strings.Contains(err.Error(), "Policy.Audience") {
		t.Errorf("NewService with another identity = %v, %v", s, err)
	}
	s, err := core.NewService(v, a.Issuer(t), nil)
	if err != nil {
		t.Fatalf("NewService: %v", err)
	}
	if s.Verifier() != v || s.Identity() != a.Identity || !s.Records() || len(s.Audiences().Endpoints()) > 0 {
		t.Errorf("the service is %+v", s)
	}
}

func TestServiceWithoutIssuer(t *testing.T) {
	d := ecttest.NewDomain()
	a, b := d.Agent(t, "a"), d.Agent(t, "b")
	s, err := core.NewService(verifier(t, d, a.Policy()), nil, nil)
	if err != nil {
		t.Fatalf("NewService: %v", err)
	}
	if s.Records() || s.Identity() != a.Identity {
		t.Errorf("Records() = %t, Identity() = %q", s.Records(), s.Identity())
	}
	if ctx, task, err := s.StartTask(t.Context(), "task"); err == nil || task != nil || ctx != t.Context() {
		t.Errorf("StartTask = %v, %v", task, err)
	}
	r, err := s.Verifier().Verify(t.Context(), presented(b.Token(a.Identity).Sign(t)))
	if err != nil {
		t.Fatal(err)
	}
	if ctx, task, err := s.AcceptTask(t.Context(), r, "task"); err == nil || task != nil || ctx != t.Context() {
		t.Errorf("AcceptTask = %v, %v", task, err)
	}
	ctx := core.ContextWithReceived(t.Context(), r)
	if got, ok := core.ReceivedFromContext(ctx); !ok || got != r {
		t.Errorf("ReceivedFromContext() = %v, %t", got, ok)
	}
	if task, ok := core.TaskFromContext(ctx); ok || task != nil {
		t.Errorf("TaskFromContext() = %v, %t", task, ok)
	}
}

func TestContextWithoutAnything(t *testing.T) {
	if task, ok := core.TaskFromContext(t.Context()); ok || task != nil {
		t.Errorf("TaskFromContext() = %v, %t", task, ok)
	}
	if r, ok := core.ReceivedFromContext(t.Context()); ok || r != nil {
		t.Errorf("ReceivedFromContext() = %v, %t", r, ok)
	}
}

// TestIssuedTokensAreKnown issues tokens and presents others that come after them, under
// a policy that rejects what is missing.
func TestIssuedTokensAreKnown(t *testing.T) {
	p := newTaskPair(t, func(p *taskPair) { p.policyA.Missing = core.RejectMissing })
	ctx, task := p.start(t)
	step := taskStep(ctx, t, task, "s")
	open := p.dispatch(ctx, t, task, "d")
	last := taskFinish(ctx, t, task, core.Completion{})
	for _, i := range []*core.Issued{step, open.Issued(), last.Issued} {
		r, err := p.from.Verifier().Verify(t.Context(), presented(p.b.Token(p.a.Identity).After(t, true, i.Text()).Sign(t)))
		if err != nil {
			t.Errorf("a token after %q: %v", i.Claims().Action, err)
			continue
		}
		h := r.Heads()[0]
		if h.Complete() != core.Yes || h.LowestLevel() != core.L2 || h.EdgesBound() != core.Yes {
			t.Errorf("a token after %q: complete %v, lowest %v, bound %v", i.Claims().Action, h.Complete(), h.LowestLevel(), h.EdgesBound())
		}
	}
	_, err := p.to.Verifier().Verify(t.Context(), presented(p.a.Token(p.b.Identity).After(t, true, step.Text()).Sign(t)))
	if err != nil {
		t.Errorf("the other service, which allows partial graphs: %v", err)
	}
}

// TestOwnTokensHaveRoom fills the store with tokens of others: what this service issues
// has a reserve.
func TestOwnTokensHaveRoom(t *testing.T) {
	d := ecttest.NewDomain()
	a, b := d.Agent(t, "a"), d.Agent(t, "b")
	store, err := dag.NewMemory(dag.MemoryConfig{MaxTasks: 16, MaxPerDomain: 16})
	if err != nil {
		t.Fatal(err)
	}
	s := d.ServiceWithPolicy(t, a, a.Policy(), []core.Audience{{ID: b.Identity, Tokens: true}}, core.WithTaskStore(store))
	var heads []string
	for range 16 {
		text := b.Token(a.Identity).Sign(t)
		heads = append(heads, text)
		if len(heads) == 16 {
			break
		}
		if _, err := s.Verifier().Verify(t.Context(), presented(text)); err != nil {
			t.Fatalf("Verify: %v", err)
		}
	}
	ctx, task := taskAccept(t.Context(), t, s, heads[15])
	if _, err := s.Verifier().Verify(t.Context(), presented(b.Token(a.Identity).Sign(t))); core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("Verify with a full store = %v, want code %v", err, core.CodeUnavailable)
	}
	taskFinish(ctx, t, task, core.Completion{})
}

// TestRefusedForRoomMayComeAgain has a message refused because the store is full: its
// claim is given back.
func TestRefusedForRoomMayComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := ecttest.NewDomain()
		a, b := d.Agent(t, "a"), d.Agent(t, "b")
		store, err := dag.NewMemory(dag.MemoryConfig{MaxTasks: 1, Quiet: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		v := verifier(t, d, a.Policy(), core.WithTaskStore(store))
		if _, err := v.Verify(t.Context(), presented(b.Token(a.Identity).Sign(t))); err != nil {
			t.Fatal(err)
		}
		second := b.Token(a.Identity).Sign(t)
		for range 2 {
			if _, err := v.Verify(t.Context(), presented(second)); core.CodeOf(err) != core.CodeUnavailable {
				t.Fatalf("Verify with a full store = %v, want code %v", err, core.CodeUnavailable)
			}
		}
		<-time.After(2 * time.Minute)
		if _, err := v.Verify(t.Context(), presented(second)); err != nil {
			t.Errorf("Verify once there is room: %v", err)
		}
	})
}

// TestServiceTells walks the observers that adapters call.
func TestServiceTells(t *testing.T) {
	var told []string
	say := func(what string) func(context.Context, *core.Error, core.VerifyInfo) {
		return func(_ context.Context, err *core.Error, _ core.VerifyInfo) {
			told = append(told, what+" "+err.Code.String())
		}
	}
	d := ecttest.NewDomain()
	a := d.Agent(t, "a")
	s := d.ServiceWithPolicy(t, a, a.Policy(), nil, core.WithObserver(core.Observer{}), core.WithObserver(core.Observer{
		Rejected: say("rejected"), BodyDiffered: say("body"), Unrecorded: say("unrecorded"),
		Unsent: func(_ context.Context, i *core.Issued) { told = append(told, "unsent "+i.Claims().Action) },
		Issued: func(_ context.Context, i *core.Issued) { told = append(told, "issued "+i.Claims().Action) },
	}))
	ctx, task, err := s.StartTask(t.Context(), "task")
	if err != nil {
		t.Fatal(err)
	}
	i := taskFinish(ctx, t, task, core.Completion{}).Issued
	s.BodyDiffered(ctx, core.NewError(core.CodeBody, nil), core.VerifyInfo{})
	s.Rejected(ctx, core.NewError(core.CodeLevel, nil), core.VerifyInfo{})
	s.Unrecorded(ctx, core.NewError(core.CodeUnavailable, nil), core.VerifyInfo{})
	s.Unsent(ctx, i)
	want := []string{"issued task", "body " + core.CodeBody.String(), "rejected " + core.CodeLevel.String(), "unrecorded " + core.CodeUnavailable.String(), "unsent task"}
	if !slices.Equal(told, want) {
		t.Errorf("the observer was told %q, want %q", told, want)
	}
}

// TestServiceAtL1 is a service that signs nothing.
func TestServiceAtL1(t *testing.T) {
	d := ecttest.NewDomain()
	a, b := d.Agent(t, "a"), d.Agent(t, "b")
	service := func(me, peer *ecttest.Agent) *core.Service {
		p := me.Policy()
		p.MinLevel = core.L1
		i, err := core.NewUnsignedIssuer(me.Identity)
		if err != nil {
			t.Fatal(err)
		}
		audiences, err := core.NewAudiences(core.Audience{ID: peer.Identity, Tokens: true})
		if err != nil {
			t.Fatal(err)
		}
		s, err := core.NewService(verifier(t, d, p), i, audiences)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	from, to := service(a, b), service(b, a)
	ctx, task, err := from.StartTask(t.Context(), "task")
	if err != nil {
		t.Fatal(err)
	}
	peer, _ := from.Audiences().ByID(b.Identity)
	dispatch, err := task.Dispatch(ctx, peer, core.DispatchInput{})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(dispatch.Issued().Text(), ".") || dispatch.Issued().Level() != core.L1 {
		t.Errorf("the dispatch is signed: %q", dispatch.Issued().Text())
	}
	theirs, answer := taskAccept(ctx, t, to, dispatch.Tokens()...)
	r, err := dispatch.Verify(ctx, presented(taskFinish(theirs, t, answer, core.Completion{}).Tokens...))
	if err != nil {
		t.Fatalf("Verify of an answer: %v", err)
	}
	if h := r.Heads()[0]; h.Level() != core.L1 || h.Complete() != core.No || h.Issuer() != "" || h.ClaimedIssuer() != b.Identity {
		t.Errorf("the answer is of level %v, complete %v, issuer %q", h.Level(), h.Complete(), h.Issuer())
	}
	if got := taskFinish(ctx, t, task, core.Completion{}).Issued.Claims().Pred; len(got) != 1 || got[0] != r.Heads()[0].Claims().TaskID {
		t.Errorf("the task token names %v", got)
	}
}
