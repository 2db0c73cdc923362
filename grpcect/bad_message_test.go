// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/grpcect"
)

// staged is a world that the kit made for a kind of message, and what its handler saw.
type staged struct {
	*world
	cc    *grpc.ClientConn
	scene *ecttest.Scene
	// called counts how often the handler was called, and heads is what came then.
	called int
	heads  []*core.Verified
}

// newStaged sets up the server of a scene whose contents are messages of these texts.
func newStaged(t *testing.T, m ecttest.Message, sent, other []string, opts ...grpcect.Option) *staged {
	t.Helper()
	told := &seen{}
	contents := ecttest.Contents{Sent: hashOfTexts(t, sent...), Other: hashOfTexts(t, other...)}
	s := &staged{scene: m.Stage(t, contents, core.WithObserver(told.observer()))}
	s.world = &world{
		domain: s.scene.Domain, server: opts,
		from: &side{agent: s.scene.From, seen: &seen{}}, to: &side{agent: s.scene.To, service: s.scene.Service, seen: told},
	}
	s.cc = s.bare(t, s.stub())
	return s
}

// stub is the service, which notes what it was called with.
func (s *staged) stub() *stub {
	return hooked(talk(), func(ctx context.Context) error {
		s.called++
		s.heads = nil
		if got, ok := core.ReceivedFromContext(ctx); ok {
			s.heads = got.Heads()
		}
		return nil
	})
}

// seenNow returns what observers were told since it was asked last.
func (s *staged) seenNow() (codes []core.Code, issued []*core.Issued) {
	codes, issued = s.to.seen.codes(), s.to.seen.tokens()
	s.to.seen.note(func() {
		s.to.seen.rejected, s.to.seen.differed, s.to.seen.lost, s.to.seen.issued = nil, nil, nil, nil
	})
	return codes, issued
}

// attempt sends a message, and holds what came of it against a code.
func (s *staged) attempt(t *testing.T, call caller, code core.Code, values ...string) outcome {
	t.Helper()
	s.called = 0
	o := present(t, s.cc, call, values...)
	codes, issued := s.seenNow()
	if code == 0 {
		if o.err != nil || s.called != 1 || len(codes) > 0 || len(issued) != 1 {
			t.Fatalf("%v; called %d times, told of %v, issued %d; want it accepted", o.err, s.called, codes, len(issued))
		}
		return o
	}
	o.refused(t, code)
	o.silentAbout(t, s.world, values...)
	if s.called != 0 || len(issued) > 0 {
		t.Errorf("the handler was called %d times, and %d tokens were issued", s.called, len(issued))
	}
	if diff := cmp.Diff([]core.Code{code}, codes); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	return o
}

// accepted holds an answer against what came: the heads and the messages.
func (s *staged) accepted(t *testing.T, o outcome, a ecttest.Attempt, content core.Hash) {
	t.Helper()
	want := []core.UUID{}
	for n, text := range a.Heads {
		want = append(want, taskOf(t, text))
		if n >= len(s.heads) || s.heads[n].Digest() != parse(t, text).Digest() {
			t.Errorf("head %d that the handler sees is another", n)
		}
	}
	c := s.answer(t, o).Claims()
	if diff := cmp.Diff(want, c.Pred); diff != "" {
		t.Errorf("pred (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{s.from.agent.Identity}, c.Audience); diff != "" {
		t.Errorf("aud (-want +got):\n%s", diff)
	}
	if c.InpHash != content {
		t.Errorf("inp_hash = %v, want %v", c.InpHash, content)
	}
}

// onWire tells whether metadata may hold the values at all.
func onWire(values ...string) bool {
	return !slices.ContainsFunc(values, func(v string) bool {
		return strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' })
	})
}

// messages are those of the kit that metadata can hold, about content or not.
func messages(t *testing.T, content bool) (all []ecttest.Message) {
	t.Helper()
	some := ecttest.Contents{Sent: hashOfTexts(t, "a"), Other: hashOfTexts(t, "b")}
	for _, m := range append(ecttest.BadMessages(), ecttest.GoodMessages()...) {
		ok := m.Content == content
		for a := range m.Stage(t, some).Attempts() {
			ok = ok && onWire(a.Values...)
		}
		if ok {
			all = append(all, m)
		}
	}
	return all
}

// TestMessages takes every message of the kit to a server, in calls of every kind: what is
// refused is refused as the kit says, and costs the good tokens nothing that came along.
func TestMessages(t *testing.T) {
	for _, m := range messages(t, false) {
		for _, mode := range modes[:2] {
			for _, k := range kinds {
				t.Run(m.Name+"/"+mode.name+"/"+k.name, func(t *testing.T) {
					texts := oneOrTwo(k.name, "one", "two")
					s := newStaged(t, m, texts, nil, grpcect.WithMode(mode.mode))
					for a := range s.scene.Attempts() {
						if !mode.needs && !core.AnyToken(a.Values) {
							continue // let through: see TestModes
						}
						o := s.attempt(t, said(k.name, texts...), a.Code, a.Values...)
						if a.Code == 0 {
							s.accepted(t, o, a, hashOfTexts(t, texts...))
						}
					}
				})
			}
		}
	}
}

// TestMessageContents takes messages to a server with the content that they name or with
// another. A stream is read by its handler, so that other content than was recorded is found
// out late: it is refused all the same, its record is kept and so is its claim. Where a record
// is required, a stream of the client is refused, as it cannot be held whole.
func TestMessageContents(t *testing.T) {
	for _, m := range messages(t, true) {
		for _, k := range kinds {
			t.Run(m.Name+"/"+k.name, func(t *testing.T) {
				contents := map[bool][]string{
					false: oneOrTwo(k.name, "what was", "sent"), true: oneOrTwo(k.name, "something else", "was sent"),
				}
				s := newStaged(t, m, contents[false], contents[true])
				binding := s.to.service.Verifier().Policy().Body
				for a := range s.scene.Attempts() {
					texts := contents[a.Other]
					call, code := said(k.name, texts...), a.Code
					switch {
					case binding == core.BodyRequire && !k.dispatched:
						code = core.CodeBody
					case binding == core.BodyMatch && m.Code != 0 && k.name != "unary":
						if a.Other {
							code = core.CodeReplayed
							break
						}
						s.late(t, call, a.Values)
						continue
					}
					if o := s.attempt(t, call, code, a.Values...); code == 0 {
						s.accepted(t, o, a, hashOfTexts(t, texts...))
					}
				}
			})
		}
	}
}

// late sends messages that turn out to differ when they are read.
func (s *staged) late(t *testing.T, call caller, values []string) {
	t.Helper()
	o := present(t, s.cc, call, values...)
	o.refused(t, core.CodeBody)
	o.silentAbout(t, s.world, values...)
	codes, issued := s.seenNow()
	if diff := cmp.Diff([]core.Code{core.CodeBody}, codes); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	if len(issued) != 1 {
		t.Fatalf("%d tokens were issued, want the record of what was read", len(issued))
	}
	c := issued[0].Claims()
	if c.Ext.Status != int(refusals[core.ClassRejected].code) || !slices.Equal(c.Audience, []string{s.to.agent.Identity}) {
		t.Errorf("recorded status %d for %v", c.Ext.Status, c.Audience)
	}
}

// TestBadTokens presents every kind of bad token, alone and beside a good one, in calls of
// every kind and in every mode.
func TestBadTokens(t *testing.T) {
	good := ecttest.GoodMessages()[0]
	for _, mode := range modes {
		for _, k := range kinds {
			s := newStaged(t, good, []string{"sent"}, nil, grpcect.WithMode(mode.mode))
			for _, bad := range ecttest.BadTokens() {
				token := bad.Mint(t, s.domain, s.from.agent, s.to.agent.Identity)
				if !onWire(token) {
					continue
				}
				t.Run(mode.name+"/"+k.name+"/"+bad.Name, func(t *testing.T) {
					if mode.roots {
						s.observed(t, k.call, bad.Code, token)
						return
					}
					s.attempt(t, k.call, bad.Code, token)
					good := s.head(t)
					if bad.Code != core.CodeNoHead { // a good token beside it is the head
						s.attempt(t, k.call, bad.Code, good, token)
						s.attempt(t, k.call, bad.Code, token+","+good)
					}
					s.attempt(t, k.call, 0, good)
				})
			}
		}
	}
}

// observed sends a bad token where nothing is refused: it is reported, and the call is
// recorded as a root that goes to nobody.
func (s *staged) observed(t *testing.T, call caller, code core.Code, token string) {
	t.Helper()
	s.called = 0
	o := present(t, s.cc, call, token)
	codes, issued := s.seenNow()
	if o.err != nil || s.called != 1 || s.heads != nil || len(o.tokens()) > 0 {
		t.Errorf("%v; called %d times with the heads %v, and %d tokens came", o.err, s.called, s.heads, len(o.tokens()))
	}
	if diff := cmp.Diff([]core.Code{code}, codes); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	if len(issued) != 1 || len(issued[0].Claims().Pred) > 0 || !slices.Equal(issued[0].Claims().Audience, []string{s.to.agent.Identity}) {
		t.Errorf("%d tokens were issued, want a root that is kept", len(issued))
	}
}
