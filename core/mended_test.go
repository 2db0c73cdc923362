// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
)

// TestForeignBytesAtEveryLength puts foreign bytes into tokens whose parts have every
// length modulo four, where one letter more or less is or is not a byte more or less.
func TestForeignBytesAtEveryLength(t *testing.T) {
	s := newScene(t)
	p := s.loose()
	p.Algorithms = []core.Algorithm{core.ES256, core.ES384}
	v := verifier(t, s.Domain, p)
	long := s.AgentWithAlgorithm(t, "long-signatures", core.ES384)
	for pad := range 4 {
		filler := strings.Repeat("a", pad)
		for name, good := range map[string]string{
			"L1":    s.token().With("com.x", filler).Unsigned(t),
			"ES256": s.token().With("com.x", filler).Sign(t),
			"ES384": long.Token(s.to.Identity).Head("com.x", filler).Sign(t),
		} {
			for i := 1; i < len(good); i++ {
				for _, c := range []string{"\r", "\n", "\r\n", "="} {
					bad := good[:i] + c + good[i:]
					if _, err := core.ParseWithoutVerification(bad); core.CodeOf(err) != core.CodeMalformed {
						t.Fatalf("%s of %d letters with %q at %d: %v, want malformed", name, len(good), c, i, err)
					}
				}
			}
			for _, c := range []string{"\r", "\n"} {
				wantCode(t, v, core.CodeMalformed, good+c)
				wantCode(t, v, core.CodeMalformed, c+good)
			}
			wantAccepted(t, v, good)
		}
	}
}

// TestSlowBody: a body that took longer to read than its token lives is refused for it, in
// every mode.
func TestSlowBody(t *testing.T) {
	for _, mode := range []core.ReplayMode{core.ReplayOncePerInstance, core.ReplayIdempotent, core.ReplayOff} {
		s := newScene(t)
		p := s.policy
		p.Body, p.Replay = core.BodyRequire, mode
		now := time.Now()
		v := verifier(t, s.Domain, p, core.WithClock(func() time.Time { return now }))
		in := presented(s.token().With("out_hash", core.HashOf([]byte("body")).String()).Sign(t))
		in.ReadContent = func(context.Context) (core.Hash, error) {
			now = now.Add(3 * time.Hour)
			return core.HashOf([]byte("body")), nil
		}
		if _, err := v.Verify(t.Context(), in); core.CodeOf(err) != core.CodeExpired {
			t.Errorf("mode %v: Verify = %v, want expired", mode, err)
		}
	}
}

// TestReadContent holds what a policy that requires bodies makes of what reading one gives.
func TestReadContent(t *testing.T) {
	body, down := core.HashOf([]byte("body")), errors.New("down")
	for name, tt := range map[string]struct {
		read func(context.Context) (core.Hash, error)
		want core.Code
	}{
		"the body":       {func(context.Context) (core.Hash, error) { return body, nil }, 0},
		"another":        {func(context.Context) (core.Hash, error) { return core.HashOf(nil), nil }, core.CodeBody},
		"no hash":        {func(context.Context) (core.Hash, error) { return core.Hash{}, nil }, core.CodeBody},
		"nothing to ask": {nil, core.CodeBody},
		"not now":        {func(context.Context) (core.Hash, error) { return core.Hash{}, down }, core.CodeUnavailable},
		"too large": {func(context.Context) (core.Hash, error) {
			return core.Hash{}, core.NewError(core.CodeBodyTooLarge, down)
		}, core.CodeBodyTooLarge},
	} {
		s := newScene(t)
		p := s.policy
		p.Body = core.BodyRequire
		in := presented(s.token().With("out_hash", body.String()).Sign(t))
		in.ReadContent = tt.read
		if _, err := verifier(t, s.Domain, p).Verify(t.Context(), in); core.CodeOf(err) != tt.want {
			t.Errorf("%s: Verify = %v, want %v", name, err, tt.want)
		}
	}
}

// TestReleaseOnce: a message that gives its claim back twice does not give back that of the
// same message sent again.
func TestReleaseOnce(t *testing.T) {
	s := newScene(t)
	v := verifier(t, s.Domain, s.policy)
	text := s.token().Sign(t)
	first := wantAccepted(t, v, text)
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantAccepted(t, v, text)
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, v, core.CodeReplayed, text)
}

// TestPreparedEnds: once its adapter is done with it, no task begins in which something
// could be recorded that nobody finishes.
func TestPreparedEnds(t *testing.T) {
	p := newTaskPair(t)
	s := p.domain.ServiceWithPolicy(t, p.a, p.policyA, []core.Audience{p.fromTo})
	ctx, prepared, err := s.PrepareTask(t.Context(), "look")
	if err != nil {
		t.Fatal(err)
	}
	if _, begun := prepared.End(); begun {
		t.Error("a task has begun that nobody asked for")
	}
	task, ok := core.TaskFromContext(ctx)
	if !ok {
		t.Fatal("there is no task")
	}
	if _, err := task.Dispatch(ctx, p.fromTo, core.DispatchInput{}); !errors.Is(err, core.ErrTaskFinished) {
		t.Errorf("Dispatch = %v, want ErrTaskFinished", err)
	}
	if _, err := task.Finish(ctx, core.Completion{}); !errors.Is(err, core.ErrTaskFinished) {
		t.Errorf("Finish = %v, want ErrTaskFinished", err)
	}
	ctx, prepared, err = s.PrepareTask(t.Context(), "look")
	if err != nil {
		t.Fatal(err)
	}
	begun, _ := core.TaskFromContext(ctx)
	if ended, ok := prepared.End(); !ok || ended != begun {
		t.Errorf("End = %v, %v, want the task that has begun", ended, ok)
	}
}

// TestKeptRecordIsWhole: a record that goes to nobody, since it could not name all who
// asked, says what it would say if nobody had.
func TestKeptRecordIsWhole(t *testing.T) {
	p := newTaskPair(t)
	to := []core.Audience{p.fromTo}
	var heads []string
	for n := range 8 {
		asker := p.domain.Agent(t, strings.Repeat("a", 1000)+fmt.Sprint(n))
		to = append(to, core.Audience{ID: asker.Identity, Tokens: true, Hashes: n > 0, Revision: core.Revision00})
		heads = append(heads, asker.Token(p.a.Identity).Sign(t))
	}
	s := p.domain.ServiceWithPolicy(t, p.a, p.policyA, to)
	ctx, task := taskAccept(t.Context(), t, s, heads...)
	i := taskFinish(ctx, t, task, core.Completion{InpHash: core.HashOf(nil), OutHash: core.HashOf(nil)}).Issued
	if c := i.Claims(); !c.InpHash.Present || !c.OutHash.Present || !strings.Contains(payloadOf(t, i.Text()), `"pred":`) {
		t.Errorf("inp_hash %v, out_hash %v, %s", c.InpHash, c.OutHash, payloadOf(t, i.Text()))
	}
}

func payloadOf(t *testing.T, text string) string {
	t.Helper()
	return string(unverified(t, text).PayloadWithoutVerification())
}

// TestClaimsAreCopies: what is done to the claims that an accessor gives changes nothing.
func TestClaimsAreCopies(t *testing.T) {
	s := newScene(t)
	text := s.fullToken(t).Sign(t)
	v := verifier(t, s.Domain, s.loose())
	issued, err := s.from.Issuer(t).Issue(t.Context(), core.IssueRequest{
		Audience: []string{"urn:example:a"}, Action: "act", Pred: []core.Predecessor{{TaskID: uuid(t, number(1))}},
		Ext: core.Ext{Policy: &core.PolicyCheckpoint{Policy: "p", Decision: core.Approved}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, get := range map[string]func() core.Claims{
		"verified":   wantAccepted(t, v, text).Heads()[0].Claims,
		"unverified": unverified(t, text).ClaimsWithoutVerification,
		"issued":     issued.Claims,
	} {
		c, want := get(), get()
		c.Audience[0], c.Pred[0], c.Ext.PredDigests[0], c.Ext.Policy.Policy = "urn:x:y", core.UUID{9}, [16]byte{9}, "another"
		if got := get(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the claims are %+v after a copy was changed, want %+v", name, got, want)
		}
	}
}

// TestNoVerified: a result that no verifier made says nothing and claims nothing.
func TestNoVerified(t *testing.T) {
	for name, v := range map[string]*core.Verified{"nil": nil, "zero": {}} {
		if v.Level() != 0 || v.Role() != 0 || v.Binding() != core.BindingNone || v.LowestLevel() != 0 ||
			v.EdgesBound() != core.NotChecked || v.Complete() != core.NotChecked || v.CrossesWorkflow() != core.NotChecked {
			t.Errorf("%s: it claims something", name)
		}
		if v.Issuer() != "" || v.ClaimedIssuer() != "" || v.Text() != "" || v.Digest() != (core.Digest{}) ||
			v.Missing() != nil || v.Predecessors() != nil || v.Claims().Action != "" || v.InpHash().Present || v.OutHash().Present {
			t.Errorf("%s: it says something", name)
		}
		if _, ok := v.Claim("iss"); ok {
			t.Errorf("%s: it has a claim", name)
		}
	}
}
