// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/replay"
	"github.com/go-ect/ect/ecttest"
)

// entries is a service that messages come to.
type entries struct {
	*scene
	seen    recorder
	service *core.Service
}

func newEntries(t *testing.T, records bool, opts ...core.VerifierOption) *entries {
	t.Helper()
	w := &entries{scene: newScene(t)}
	w.policy.MinLevel = core.L1
	opts = append(opts, core.WithObserver(w.seen.observer()))
	if records {
		w.service = w.ServiceWithPolicy(t, w.to, w.policy, nil, opts...)
		return w
	}
	var err error
	if w.service, err = core.NewService(verifier(t, w.Domain, w.policy, opts...), nil, nil); err != nil {
		t.Fatal(err)
	}
	return w
}

// told holds what observers were told of refusals, and of verified messages.
func (w *entries) told(t *testing.T, verified int, rejected ...core.Code) {
	t.Helper()
	if diff := cmp.Diff(rejected, w.seen.rejected); diff != "" {
		t.Errorf("reported as rejected (-want +got):\n%s", diff)
	}
	if w.seen.verified != verified {
		t.Errorf("reported as verified %d times, want %d", w.seen.verified, verified)
	}
}

// claimed tells whether a token may not be presented any more.
func (w *entries) claimed(t *testing.T, tokens []string) bool {
	t.Helper()
	var e core.Entry
	err := e.Verify(t.Context(), w.service, core.Enforce, presented(tokens...))
	if err != nil && err.Code != core.CodeReplayed {
		t.Errorf("presented again: %v", err)
	}
	return err != nil
}

// codeOfError is the code of an error, 0 if there is none.
func codeOfError(err *core.Error) core.Code {
	if err == nil {
		return 0
	}
	return err.Code
}

// messages that entries get, by what they are.
func (s *scene) messages(t *testing.T) map[string][]string {
	t.Helper()
	return map[string][]string{
		"none": nil, "empty elements": {"", " ,\t,"}, "good": {s.token().Sign(t)}, "unsigned": {s.token().Unsigned(t)},
		"bad": {forge(t, s.token().Sign(t))}, "good and bad": {s.token().Sign(t), "x.y.z"},
	}
}

// TestEntry brings every kind of message in under every mode.
func TestEntry(t *testing.T) {
	type want struct {
		code     core.Code // what it is refused with
		reported core.Code // what observers are told all the same
		received bool
		claimed  bool
		prepared bool // the task begins once somebody asks
	}
	for mode, all := range map[core.Mode]map[string]want{
		core.Enforce: {
			"none": {code: core.CodeRequired}, "empty elements": {code: core.CodeRequired},
			"good": {received: true, claimed: true}, "unsigned": {received: true, claimed: true},
			"bad": {code: core.CodeSignature}, "good and bad": {code: core.CodeMalformed},
		},
		core.Optional: {
			"none": {prepared: true}, "empty elements": {prepared: true},
			"good": {received: true, claimed: true}, "unsigned": {received: true, claimed: true},
			"bad": {code: core.CodeSignature}, "good and bad": {code: core.CodeMalformed},
		},
		core.Observe: {
			"none": {reported: core.CodeRequired}, "empty elements": {reported: core.CodeRequired},
			"good": {received: true}, "unsigned": {received: true},
			"bad": {reported: core.CodeSignature}, "good and bad": {reported: core.CodeMalformed},
		},
	} {
		for who, records := range map[string]bool{"recording": true, "verify only": false} {
			for name, tt := range all {
				t.Run([]string{"enforce", "optional", "observe"}[mode]+", "+name+", "+who, func(t *testing.T) {
					w := newEntries(t, records)
					tokens := w.messages(t)[name]
					var e core.Entry
					// What p says of observing does not count.
					in := core.Presented{Values: tokens, Observe: mode != core.Observe}
					bad := e.Verify(t.Context(), w.service, mode, in)
					if got := codeOfError(bad); got != tt.code {
						t.Fatalf("Verify = %v, want %v", bad, tt.code)
					}
					var told []core.Code
					if c := tt.code + tt.reported; c != 0 {
						told = append(told, c)
					}
					verified := 0
					if tt.received {
						verified = 1
					}
					w.told(t, verified, told...)
					if (e.Received() != nil) != tt.received {
						t.Fatalf("Received() = %v", e.Received())
					}
					if e.Task() != nil || e.End() != nil {
						t.Error("there is a task before one began")
					}
					if tt.code != 0 {
						if err := e.Release(t.Context()); err != nil {
							t.Errorf("Release of what was refused: %v", err)
						}
						return
					}
					ctx, bad := e.Begin(t.Context(), w.service, mode, "read")
					if bad != nil {
						t.Fatalf("Begin: %v", bad)
					}
					w.told(t, verified, told...)
					if r, ok := core.ReceivedFromContext(ctx); ok != tt.received || r != e.Received() {
						t.Errorf("ReceivedFromContext() = %v, %t", r, ok)
					}
					if begun := e.Task() != nil; begun != (records && !tt.prepared) {
						t.Errorf("Task() = %v before anybody asked", e.Task())
					}
					task, ok := core.TaskFromContext(ctx)
					if ok != records || e.Task() != task || e.End() != task || e.Task() != task {
						t.Errorf("TaskFromContext() = %v, %t; Task() = %v, End() = %v", task, ok, e.Task(), e.End())
					}
					if records {
						if r, _ := task.Received(); r != e.Received() {
							t.Errorf("the task answers %v, want %v", r, e.Received())
						}
					}
					if tt.received && w.claimed(t, tokens) != tt.claimed {
						t.Errorf("claimed: %t, want %t", !tt.claimed, tt.claimed)
					}
				})
			}
		}
	}
}

// TestEntryEnds: after the end no task begins any more.
func TestEntryEnds(t *testing.T) {
	w := newEntries(t, true)
	var e core.Entry
	ctx, bad := e.Begin(t.Context(), w.service, core.Optional, "read")
	if bad != nil {
		t.Fatal(bad)
	}
	if e.End() != nil {
		t.Fatal("a task began that nobody asked for")
	}
	task, ok := core.TaskFromContext(ctx)
	if !ok {
		t.Fatal("no task is prepared")
	}
	if _, err := task.Step(ctx, "late", core.StepInput{}); !errors.Is(err, core.ErrTaskFinished) {
		t.Errorf("Step after the end = %v", err)
	}
	if e.Task() != nil || e.End() != nil {
		t.Error("a task began after the end")
	}
}

// stuckStore claims and gives nothing back.
type stuckStore struct{ replay.Store }

var errStuck = errors.New("the store is stuck")

func (stuckStore) Release(context.Context, []replay.Claim) error { return errStuck }

// TestEntryNotBegun: what no handler will see is given back, and told of once.
func TestEntryNotBegun(t *testing.T) {
	long := strings.Repeat("x", 257)
	for _, mode := range []core.Mode{core.Enforce, core.Optional, core.Observe} {
		for _, action := range []string{"", "a\nb", long} {
			w := newEntries(t, true)
			tokens := []string{w.token().Sign(t)}
			var e core.Entry
			if bad := e.Verify(t.Context(), w.service, mode, presented(tokens...)); bad != nil {
				t.Fatal(bad)
			}
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			ctx, bad := e.Begin(gone, w.service, mode, action)
			if codeOfError(bad) != core.CodeUnavailable || ctx != gone || e.Task() != nil {
				t.Errorf("mode %d: Begin(%q) = %v, task %v", mode, action, bad, e.Task())
			}
			w.told(t, 1, core.CodeUnavailable)
			if w.claimed(t, tokens) {
				t.Errorf("mode %d: Begin(%q) gave nothing back", mode, action)
			}
			if err := e.Release(t.Context()); err != nil || !w.claimed(t, tokens) {
				t.Errorf("mode %d: a second Release = %v, or it gave back what another claimed", mode, err)
			}
		}
	}
	// Without a message there is nothing to give back.
	for _, mode := range []core.Mode{core.Optional, core.Observe} {
		w := newEntries(t, true)
		var e core.Entry
		if _, bad := e.Begin(t.Context(), w.service, mode, ""); codeOfError(bad) != core.CodeUnavailable || e.Task() != nil {
			t.Errorf("mode %d: Begin without a message = %v, task %v", mode, bad, e.Task())
		}
		w.told(t, 0, core.CodeUnavailable)
	}
	w := newEntries(t, true, core.WithReplayStore(stuckStore{memoryStore(t, replay.Config{})}))
	var e core.Entry
	if bad := e.Verify(t.Context(), w.service, core.Enforce, presented(w.token().Sign(t))); bad != nil {
		t.Fatal(bad)
	}
	_, bad := e.Begin(t.Context(), w.service, core.Enforce, "")
	if codeOfError(bad) != core.CodeUnavailable || !errors.Is(bad, errStuck) {
		t.Errorf("Begin with a store that gives nothing back = %v", bad)
	}
	w.told(t, 1, core.CodeUnavailable)
}

// TestEntryRaised asks for more further in, of every kind of message.
func TestEntryRaised(t *testing.T) {
	for _, tt := range []struct {
		name     string
		outer, m core.Mode
		min      core.Level
		message  string
		want     core.Code
	}{
		{"nothing more", core.Enforce, core.Enforce, 0, "good", 0},
		{"its level", core.Enforce, core.Enforce, core.L2, "good", 0},
		{"more than its level", core.Enforce, core.Enforce, core.L3, "good", core.CodeLevel},
		{"unsigned, L1", core.Enforce, core.Enforce, core.L1, "unsigned", 0},
		{"unsigned, L2", core.Enforce, core.Enforce, core.L2, "unsigned", core.CodeLevel},
		{"unsigned, optional, L2", core.Optional, core.Optional, core.L2, "unsigned", core.CodeLevel},
		{"unsigned, observed, L2", core.Enforce, core.Observe, core.L2, "unsigned", core.CodeLevel},
		{"one of two", core.Enforce, core.Enforce, core.L2, "two", core.CodeLevel},
		{"none", core.Optional, core.Enforce, 0, "none", core.CodeRequired},
		{"none, still optional", core.Optional, core.Optional, core.L2, "none", 0},
		{"none, observed further in", core.Optional, core.Observe, 0, "none", core.CodeRequired},
		{"none, told already", core.Observe, core.Observe, core.L2, "none", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newEntries(t, true)
			wid := func(tok *ecttest.Token) *ecttest.Token { return tok.With("wid", number(8)) }
			tokens := w.messages(t)[tt.message]
			if tt.message == "two" {
				tokens = []string{wid(w.token()).Sign(t), wid(w.token()).Unsigned(t)}
			}
			var e core.Entry
			if bad := e.Verify(t.Context(), w.service, tt.outer, presented(tokens...)); bad != nil {
				t.Fatal(bad)
			}
			before := len(w.seen.rejected)
			if bad := e.Raise(tt.outer, tt.m, tt.min); codeOfError(bad) != tt.want {
				t.Errorf("Raise = %v, want %v", bad, tt.want)
			}
			if len(w.seen.rejected) != before {
				t.Error("Raise told observers, which is for the adapter")
			}
		})
	}
}

// TestEntryEnforced enforces further in what was only observed.
func TestEntryEnforced(t *testing.T) {
	for _, tt := range []struct {
		name    string
		m       core.Mode
		message string
		code    core.Code
		claimed bool
		told    []core.Code // twice where it is looked at twice
	}{
		{"enforce, none", core.Enforce, "none", core.CodeRequired, false, []core.Code{core.CodeRequired, core.CodeRequired}},
		{"enforce, good", core.Enforce, "good", 0, true, nil},
		{"enforce, bad", core.Enforce, "bad", core.CodeSignature, false, []core.Code{core.CodeSignature, core.CodeSignature}},
		{"optional, none", core.Optional, "none", 0, false, []core.Code{core.CodeRequired}},
		{"optional, good", core.Optional, "good", 0, true, nil},
		{"optional, bad", core.Optional, "bad", core.CodeSignature, false, []core.Code{core.CodeSignature, core.CodeSignature}},
	} {
		for _, guarded := range []bool{true, false} {
			t.Run(tt.name, func(t *testing.T) {
				w := newEntries(t, true)
				tokens := w.messages(t)[tt.message]
				p := core.Presented{Values: tokens, Observe: true}
				var e core.Entry
				if bad := e.Verify(t.Context(), w.service, core.Observe, p); bad != nil {
					t.Fatal(bad)
				}
				first, rebound := e.Received(), 0
				var rebind func(func())
				if guarded {
					rebind = func(change func()) {
						rebound++
						if e.Received() != first {
							t.Error("it was changed before")
						}
						change()
						if e.Received() == first {
							t.Error("nothing was changed")
						}
					}
				}
				if bad := e.Enforce(t.Context(), w.service, tt.m, p, rebind); codeOfError(bad) != tt.code {
					t.Fatalf("Enforce = %v, want %v", bad, tt.code)
				}
				verified := 0
				if tt.claimed {
					verified = 2
				}
				w.told(t, verified, tt.told...)
				if want := tt.claimed && guarded; (rebound == 1) != want || rebound > 1 {
					t.Errorf("rebind was called %d times", rebound)
				}
				if changed := e.Received() != first; changed != tt.claimed {
					t.Errorf("Received() is another: %t", changed)
				}
				if !tt.claimed {
					return
				}
				if !w.claimed(t, tokens) {
					t.Error("nothing was claimed")
				}
				if err := e.Release(t.Context()); err != nil || w.claimed(t, tokens) {
					t.Errorf("Release = %v, or it gave nothing back", err)
				}
			})
		}
	}
}

// TestEntrySecondLookAlone: the keys could not be had at the first look, and can now.
func TestEntrySecondLookAlone(t *testing.T) {
	for _, mode := range []core.Mode{core.Enforce, core.Optional} {
		w := newEntries(t, true)
		tokens := []string{w.token().Sign(t)}
		var e core.Entry
		w.Fail(errors.New("the key source cannot be reached"))
		if bad := e.Verify(t.Context(), w.service, core.Observe, presented(tokens...)); bad != nil || e.Received() != nil {
			t.Fatalf("Verify = %v, %v", e.Received(), bad)
		}
		w.Fail(nil)
		bad := e.Enforce(t.Context(), w.service, mode, presented(tokens...), nil)
		if codeOfError(bad) != core.CodeUnavailable {
			t.Errorf("mode %d: Enforce = %v", mode, bad)
		}
		w.told(t, 1, core.CodeUnavailable, core.CodeUnavailable)
		if !w.claimed(t, tokens) {
			t.Errorf("mode %d: nothing was claimed", mode)
		}
		if err := e.Release(t.Context()); err != nil || w.claimed(t, tokens) {
			t.Errorf("mode %d: Release = %v, or it gave nothing back", mode, err)
		}
	}
}

func TestAnyToken(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []string
		want   bool
	}{
		{"nothing", nil, false},
		{"an empty value", []string{""}, false},
		{"empty elements", []string{" , ,", "\t"}, false},
		{"a token", []string{"a"}, true},
		{"a token in the second value", []string{",", " , a"}, true},
		{"what is neither", []string{"\n"}, true},
	} {
		if got := core.AnyToken(tt.values); got != tt.want {
			t.Errorf("%s: AnyToken(%q) = %t", tt.name, tt.values, got)
		}
	}
}
