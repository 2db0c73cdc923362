// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
)

// modes are the three ways to take what comes, and what becomes of a call in each.
var modes = []struct {
	name string
	mode core.Mode
	// needs tells that a call without a token is refused, and refuses that one with a bad
	// token is.
	needs, refuses bool
	// roots tells that a call whose tokens were not accepted is recorded as a root.
	roots bool
	// claims tells that a token is good once.
	claims bool
}{
	{name: "enforce", mode: core.Enforce, needs: true, refuses: true, claims: true},
	{name: "optional", mode: core.Optional, refuses: true, claims: true},
	{name: "observe", mode: core.Observe, roots: true},
}

// TestModes: each mode with no token, a good one and bad ones, for calls of every kind: who
// is called, claimed, recorded and answered (profile 9.5).
func TestModes(t *testing.T) {
	mint := []struct {
		name   string
		tokens func(*testing.T, *world) []string
		code   core.Code // 0: good
	}{
		{"none", func(*testing.T, *world) []string { return nil }, core.CodeRequired},
		{"nothing but empty elements", func(*testing.T, *world) []string { return []string{"", " , ,", ","} }, core.CodeRequired},
		{"good", func(t *testing.T, w *world) []string { return []string{w.head(t)} }, 0},
		{"malformed", func(t *testing.T, w *world) []string { return []string{w.head(t) + "."} }, core.CodeMalformed},
		{"below the level", func(t *testing.T, w *world) []string { return []string{w.unsigned(t)} }, core.CodeLevel},
		{"for others", func(t *testing.T, w *world) []string {
			return []string{w.from.agent.Token(w.from.agent.Identity).Sign(t)}
		}, core.CodeAudience},
		{"a good one and a bad one", func(t *testing.T, w *world) []string {
			return []string{w.head(t), w.from.agent.Token(w.from.agent.Identity).Sign(t)}
		}, core.CodeAudience},
	}
	for _, m := range modes {
		for _, k := range kinds {
			for _, c := range mint {
				for _, records := range []bool{true, false} {
					name := m.name + "/" + k.name + "/" + c.name
					if !records {
						name += ", verify only"
					}
					t.Run(name, func(t *testing.T) {
						w := newWorld(t, func(w *world) { w.server = []grpcect.Option{grpcect.WithMode(m.mode)} })
						if !records {
							w.verifyOnly(t)
						}
						called := 0
						var task *core.Task
						var received *core.Received
						cc := w.bare(t, hooked(talk(), func(ctx context.Context) error {
							called++
							received, _ = core.ReceivedFromContext(ctx)
							if c.code == 0 || m.roots {
								task, _ = core.TaskFromContext(ctx)
							}
							return nil
						}))
						tokens := c.tokens(t, w)
						none := c.code == core.CodeRequired
						o := present(t, cc, k.call, tokens...)
						if none && m.needs || c.code != 0 && !none && m.refuses {
							o.refused(t, c.code)
							if called != 0 || len(w.to.seen.tokens()) > 0 {
								t.Errorf("called %d times, %d tokens issued", called, len(w.to.seen.tokens()))
							}
							if diff := cmp.Diff([]core.Code{c.code}, w.to.seen.codes()); diff != "" {
								t.Errorf("reported (-want +got):\n%s", diff)
							}
							return
						}
						if o.err != nil || called != 1 {
							t.Fatalf("%v, called %d times", o.err, called)
						}
						var reported []core.Code
						if c.code != 0 && m.roots {
							reported = []core.Code{c.code}
						}
						if diff := cmp.Diff(reported, w.to.seen.codes()); diff != "" {
							t.Errorf("reported (-want +got):\n%s", diff)
						}
						if good := c.code == 0; (received != nil) != good || good && received.Heads()[0].Digest() != parse(t, tokens[0]).Digest() {
							t.Errorf("the handler received %v", received)
						}
						if want := records && (c.code == 0 || m.roots); (task != nil) != want {
							t.Errorf("the handler has a task: %t, want %t", task != nil, want)
						}
						switch all := w.to.seen.tokens(); {
						case !records || c.code != 0 && !m.roots:
							if len(all) > 0 || len(o.tokens()) > 0 {
								t.Errorf("%d tokens issued, %d came", len(all), len(o.tokens()))
							}
						case len(all) != 1 || all[0].Claims().TaskID != task.ID():
							t.Errorf("issued %d tokens, want that of the task", len(all))
						case c.code == 0:
							if v := w.answer(t, o); v.Digest() != all[0].Digest() {
								t.Error("the answer is not the record")
							}
							if p := all[0].Claims().Pred; len(p) != 1 || p[0] != taskOf(t, tokens[0]) {
								t.Errorf("pred = %v", p)
							}
						default: // a root, which is kept
							if cl := all[0].Claims(); len(cl.Pred) > 0 || len(cl.Audience) != 1 || cl.Audience[0] != w.to.agent.Identity || len(o.tokens()) > 0 {
								t.Errorf("recorded %+v, %d tokens came", cl, len(o.tokens()))
							}
						}
						if c.code == 0 {
							if again := present(t, cc, k.call, tokens...); m.claims {
								again.refused(t, core.CodeReplayed)
							} else if again.err != nil {
								t.Errorf("the same token where nothing is claimed: %v", again.err)
							}
						}
					})
				}
			}
		}
	}
}

// TestOptionalBegins: a call without a token under Optional is recorded once its handler asks
// for the task, as a root that goes to nobody; what had been sent by then has no hash.
func TestOptionalBegins(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			for _, asks := range []bool{true, false} {
				w := newWorld(t, func(w *world) { w.server = []grpcect.Option{grpcect.WithMode(core.Optional)} })
				var id core.UUID
				cc := w.bare(t, hooked(talk(), func(ctx context.Context) error {
					if asks {
						task, ok := core.TaskFromContext(ctx)
						if !ok {
							t.Error("no task")
							return nil
						}
						id = task.ID()
						if again, _ := core.TaskFromContext(ctx); again != task {
							t.Error("the second look finds another task")
						}
					}
					return nil
				}))
				o := present(t, cc, k.call)
				if o.err != nil || len(o.tokens()) > 0 {
					t.Fatalf("%v, %d tokens came", o.err, len(o.tokens()))
				}
				all := w.to.seen.tokens()
				if !asks {
					if len(all) > 0 {
						t.Errorf("recorded %+v, and nobody asked", all[0].Claims())
					}
					continue
				}
				if len(all) != 1 {
					t.Fatalf("issued %d tokens, want 1", len(all))
				}
				c := all[0].Claims()
				if c.TaskID != id || len(c.Pred) > 0 || !c.Workflow.Present || len(c.Audience) != 1 || c.Audience[0] != w.to.agent.Identity {
					t.Errorf("recorded %+v", c)
				}
				if !c.InpHash.Present || !c.OutHash.Present {
					t.Errorf("hashes %v and %v", c.InpHash, c.OutHash)
				}
			}
		})
	}
}
