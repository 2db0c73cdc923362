// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// answerPolicies are whether an answer has to come.
var answerPolicies = map[string]core.AnswerPolicy{"required": core.AnswerRequired, "optional": core.AnswerOptional}

// newAnswering returns a caller, and one who is called and answers as the kit says, with
// what dress adds.
func newAnswering(t *testing.T, a ecttest.Answer, place string, reply []byte, dress func(http.Handler) http.Handler, edits ...func(*calls)) *pair {
	t.Helper()
	var peer *ecttest.Peer
	h := impostor(t, reply, func(dispatch string) (header, trailer []string) {
		return places[place](peer.Answer(t, dispatch, ecttest.Exchanged{Got: hashOf([]byte("sent")), Gives: hashOf(reply)})...)
	})
	p := newPair(t, dress(h), append(edits, bare)...)
	peer = a.Peer(p.domain, p.from, p.to)
	return p
}

func plain(h http.Handler) http.Handler { return h }

// callTwice makes the call that is answered well, and the one that is answered as the kit
// says, which it returns with its dispatch.
func (p *pair) callTwice(ctx context.Context, t *testing.T) (*reply, core.UUID) {
	t.Helper()
	var r *reply
	for n := range 2 {
		var err error
		if r, err = p.call(ctx, t, "POST", "/", strings.NewReader("sent")); err != nil {
			t.Fatalf("call: %v; what is wrong with an answer is an error of the body", err)
		}
		if n == 0 && r.err != nil {
			t.Fatalf("the first call: %v", r.err)
		}
	}
	p.told.next(t)
	return r, p.told.next(t).Claims().TaskID
}

// step does the next thing that a task does, and returns what its token says.
func step(ctx context.Context, t *testing.T, task *core.Task) core.Claims {
	t.Helper()
	i, err := task.Step(ctx, "next", core.StepInput{})
	if err != nil {
		t.Fatal(err)
	}
	return i.Claims()
}

// TestAnswerTable brings every answer of the kit back, in both places.
func TestAnswerTable(t *testing.T) {
	body := []byte("the body of the answer")
	for _, a := range append(ecttest.BadAnswers(), ecttest.GoodAnswers()...) {
		for place := range places {
			for policy, optional := range answerPolicies {
				t.Run(fmt.Sprint(a.Name, ", ", place, ", ", policy), func(t *testing.T) {
					protos(t, func(t *testing.T, proto string) {
						p := newAnswering(t, a, place, body, plain, over(proto), func(c *calls) { c.peer.Answer = optional })
						ctx, task := p.start(t)
						r, dispatch := p.callTwice(ctx, t)
						if got := tokensIn(r.Header); len(got) > 0 {
							t.Errorf("%d tokens are left in the header", len(got))
						}
						if got := tokensIn(r.Trailer); len(got) > 0 {
							t.Errorf("%d tokens are left in the trailer", len(got))
						}
						answer, ok := httpect.AnswerOf(r.Response)
						last := step(ctx, t, task)
						if a.Code == 0 {
							if r.err != nil || !bytes.Equal(r.body, body) || !ok {
								t.Fatalf("%v, body %q, AnswerOf %v", r, r.body, ok)
							}
							onlyPred(t, last, answer.Heads()[0].Claims().TaskID, "the answer")
							return
						}
						if a.Code == core.CodeTooLarge && place == "trailer" && proto == http1 {
							if r.err == nil { // net/http itself refuses a trailer that long
								t.Error("the body seems whole")
							}
						} else if core.CodeOf(r.err) != a.Code {
							t.Errorf("reading = %v, want code %v", r.err, a.Code)
						}
						if place == "header" && len(r.body) > 0 {
							t.Errorf("%d bytes came of a body whose answer is bad", len(r.body))
						}
						if a.Code == core.CodeBody {
							if got := p.told.codes(&p.told.differed); len(got) != 1 {
								t.Errorf("reported as differing: %v", got)
							}
							return // the answer itself is good
						}
						if ok {
							t.Error("AnswerOf gives an answer that is bad")
						}
						onlyPred(t, last, dispatch, "the dispatch")
					})
				})
			}
		}
	}
}

// TestEmptyAnswer: a field that is there and holds nothing is no answer under either policy.
func TestEmptyAnswer(t *testing.T) {
	for place, put := range places {
		for policy, optional := range answerPolicies {
			t.Run(place+", "+policy, func(t *testing.T) {
				protos(t, func(t *testing.T, proto string) {
					p := newPair(t, impostor(t, []byte("body"), func(string) (header, trailer []string) { return put("") }),
						bare, over(proto), func(c *calls) { c.peer.Answer = optional })
					ctx, task := p.start(t)
					r, err := p.call(ctx, t, "POST", "/", strings.NewReader("sent"))
					if err != nil || core.CodeOf(r.err) != core.CodeRequired {
						t.Errorf("call = %v, %v; want code required from the body", r, err)
					}
					if place == "header" && len(r.body) > 0 {
						t.Errorf("%d bytes came of a body whose answer is bad", len(r.body))
					}
					onlyPred(t, end(ctx, t, task), p.told.next(t).Claims().TaskID, "the dispatch")
				})
			})
		}
	}
}

// TestBadTokensAsAnswers presents every kind of bad token as an answer.
func TestBadTokensAsAnswers(t *testing.T) {
	var p *pair
	var bad ecttest.BadToken
	p = newPair(t, impostor(t, nil, func(string) (header, trailer []string) {
		return []string{bad.Mint(t, p.domain, p.to, p.from.Identity)}, nil
	}), bare, answerOptional)
	for _, bad = range ecttest.BadTokens() {
		if strings.Contains(bad.Name, "newline") {
			continue // HTTP has no room for it
		}
		ctx, task := p.start(t)
		r, err := p.call(ctx, t, "GET", "/", nil)
		if err != nil {
			t.Fatalf("%s: %v", bad.Name, err)
		}
		d := p.told.next(t).Claims()
		// Most are refused for what they are, all others for naming no dispatch.
		if got := core.CodeOf(r.err); got == 0 {
			t.Errorf("%s: reading = %v, want code %v", bad.Name, r.err, bad.Code)
		}
		onlyPred(t, end(ctx, t, task), d.TaskID, "the dispatch")
		p.told.next(t)
	}
}
