// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// staged is a world that the kit made for a kind of message.
type staged struct {
	*world
	scene *ecttest.Scene
	// called counts how often the handler was called, and heads, state and body are what it
	// saw last.
	called int
	heads  []*core.Verified
	state  core.BodyState
	body   []byte
}

func newStaged(t *testing.T, m ecttest.Message, sent, other []byte) *staged {
	t.Helper()
	seen := newSeen()
	scene := m.Stage(t, ecttest.Contents{Sent: hashOf(sent), Other: hashOf(other)}, core.WithObserver(seen.observer()))
	return &staged{
		world: &world{domain: scene.Domain, from: scene.From, to: scene.To, service: scene.Service, seen: seen},
		scene: scene,
	}
}

// ServeHTTP is the handler.
func (s *staged) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	s.called++
	s.heads, s.state, s.body = nil, 0, nil
	if got, ok := core.ReceivedFromContext(r.Context()); ok {
		s.heads = got.Heads()
	}
	s.body, _ = io.ReadAll(r.Body) // looked at by the test
	if task, ok := core.TaskFromContext(r.Context()); ok {
		s.state = task.BodyState()
	}
}

// expect holds what came of an attempt against what must.
func (s *staged) expect(t *testing.T, a ecttest.Attempt, code core.Code, r *reply, content []byte) {
	t.Helper()
	called := s.called
	s.called = 0
	if code != 0 {
		r.refused(t, code)
		r.silentAbout(t, s.world, a.Values...)
		if called != 0 {
			t.Error("the handler was called")
		}
		s.seen.none(t)
		if diff := cmp.Diff([]core.Code{code}, s.seen.codes(&s.seen.rejected)); diff != "" {
			t.Errorf("reported as rejected (-want +got):\n%s", diff)
		}
		return
	}
	if r.StatusCode != 200 || called != 1 {
		t.Fatalf("status = %d (%s), the handler was called %d times; want the message accepted", r.StatusCode, r.body, called)
	}
	if got := s.seen.codes(&s.seen.rejected); len(got) > 0 {
		t.Errorf("reported as rejected: %v", got)
	}
	want := []core.UUID{}
	for n, text := range a.Heads {
		u := parse(t, text)
		want = append(want, u.ClaimsWithoutVerification().TaskID)
		if n >= len(s.heads) || s.heads[n].Digest() != u.Digest() {
			t.Errorf("head %d that the handler sees is another", n)
		}
	}
	answer := s.answer(t, r).Claims()
	if diff := cmp.Diff(want, answer.Pred); diff != "" {
		t.Errorf("pred (-want +got):\n%s", diff)
	}
	// Others are no audience, so the answer is not for them.
	if diff := cmp.Diff([]string{s.from.Identity}, answer.Audience); diff != "" {
		t.Errorf("aud (-want +got):\n%s", diff)
	}
	if !bytes.Equal(s.body, content) || answer.InpHash != hashOf(content) {
		t.Errorf("the handler read %d bytes, and inp_hash = %v; want %d", len(s.body), answer.InpHash, len(content))
	}
	s.seen.next(t)
}

// modes are those that refuse.
var modes = map[string]httpect.Mode{"enforce": httpect.Enforce, "optional": httpect.Optional}

// TestBadMessages takes every message of the kit to a server: what is refused is refused as
// the kit says, and costs the good tokens nothing that came along.
func TestBadMessages(t *testing.T) {
	for _, m := range ecttest.BadMessages() {
		if m.Content {
			continue // below
		}
		for name, mode := range modes {
			t.Run(m.Name+", "+name, func(t *testing.T) {
				protos(t, func(t *testing.T, proto string) {
					s := newStaged(t, m, nil, nil)
					site := serve(t, proto, httpect.Middleware(s.service, httpect.WithMode(mode))(s))
					for a := range s.scene.Attempts() {
						if mode == httpect.Optional && !core.AnyToken(a.Values) {
							continue // let through: see TestModes
						}
						s.expect(t, a, a.Code, site.send(t, "GET", "/", nil, a.Values...), nil)
					}
				})
			})
		}
	}
}

// TestGoodMessages is TestBadMessages for those that must pass.
func TestGoodMessages(t *testing.T) {
	for _, m := range ecttest.GoodMessages() {
		if m.Content {
			continue // below
		}
		t.Run(m.Name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				s := newStaged(t, m, nil, nil)
				site := serve(t, proto, httpect.Middleware(s.service)(s))
				for a := range s.scene.Attempts() {
					s.expect(t, a, a.Code, site.send(t, "POST", "/", nil, a.Values...), nil)
				}
			})
		})
	}
}

// TestMessageContents takes messages to a server with the content that they name or with
// another. Where that is found out only as the handler reads it, the message is refused all
// the same, and its claim is kept.
func TestMessageContents(t *testing.T) {
	nine, eight := []byte("body body"), []byte("body bod")
	for _, m := range append(ecttest.BadMessages(), ecttest.GoodMessages()...) {
		if !m.Content {
			continue
		}
		for name, bodies := range map[string][2][]byte{
			"another": {eight, nine}, "nothing for something": {nil, nine}, "something for nothing": {nine, nil},
		} {
			for how, reader := range map[string]func([]byte) io.Reader{"sized": sized, "chunked": chunked} {
				t.Run(m.Name+", "+name+", "+how, func(t *testing.T) {
					protos(t, func(t *testing.T, proto string) {
						s := newStaged(t, m, bodies[0], bodies[1])
						binding := s.service.Verifier().Policy().Body
						late := m.Code != 0 && binding == core.BodyMatch && (len(bodies[0]) > 0 || how == "chunked")
						site := serve(t, proto, httpect.Middleware(s.service)(s))
						for a := range s.scene.Attempts() {
							body := bodies[0]
							if a.Other {
								body = bodies[1]
							}
							if late {
								code := map[bool]core.Code{false: a.Code, true: core.CodeReplayed}[a.Other]
								site.send(t, "POST", "/", reader(body), a.Values...).refused(t, code)
								continue
							}
							s.expect(t, a, a.Code, site.send(t, "POST", "/", reader(body), a.Values...), body)
							bound := binding != core.BodyIgnore && len(a.Heads) == 1
							if a.Code == 0 && bound != (s.state == core.BodyBound) {
								t.Errorf("the body is %v", s.state)
							}
						}
					})
				})
			}
		}
	}
}

// TestFallbackMessages takes the kit's messages to a server in bodies: what is refused in
// the field is refused there, with the code that limits have in a body.
func TestFallbackMessages(t *testing.T) {
	for _, m := range append(ecttest.BadMessages(), ecttest.GoodMessages()...) {
		if m.Code == core.CodeRequired || m.Content && m.Code != 0 || m.Code == core.CodeTooLarge && commas(t, m) {
			continue // there are no commas in a body; and what is found out late
		}
		t.Run(m.Name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				body := []byte("the body")
				s := newStaged(t, m, body, nil)
				site := serve(t, proto, s.taking(s))
				for a := range s.scene.Attempts() {
					code := a.Code
					if code == core.CodeTooLarge {
						code = core.CodeBodyTooLarge
					}
					content := body
					if a.Other {
						content = nil
					}
					s.expect(t, a, code, site.fold(t, newFolded(content, lines(a.Values)...)), content)
				}
			})
		})
	}
}

// commas tells whether a kind of message is about the commas between tokens.
func commas(t *testing.T, m ecttest.Message) bool {
	t.Helper()
	for a := range m.Stage(t, ecttest.Contents{}).Attempts() {
		if strings.Contains(strings.Join(a.Values, " "), ",,") {
			return true
		}
	}
	return false
}

// lines returns the tokens of field values, one a line.
func lines(values []string) (tokens []string) {
	for element := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if token := strings.Trim(element, " \t"); token != "" {
			tokens = append(tokens, token)
		}
	}
	return tokens
}
