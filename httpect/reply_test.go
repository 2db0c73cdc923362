// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// impostor answers a dispatch with tokens in header and trailer, as make says.
func impostor(t *testing.T, body []byte, craft func(dispatch string) (header, trailer []string)) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // the answer counts
		if len(r.Header[httpect.FieldName]) == 0 {
			t.Error("no dispatch came")
			return
		}
		header, trailer := craft(r.Header[httpect.FieldName][0])
		if header != nil {
			w.Header()[httpect.FieldName] = header
		}
		if trailer != nil {
			w.Header().Set("Trailer", httpect.FieldName)
		}
		w.Write(body) //nolint:errcheck // the client looks
		if trailer != nil {
			http.NewResponseController(w).Flush()
			w.Header()[httpect.FieldName] = trailer
		}
	})
}

// places puts an answer into the header and into the trailer.
var places = map[string]func(tokens ...string) (header, trailer []string){
	"header":  func(tokens ...string) ([]string, []string) { return tokens, nil },
	"trailer": func(tokens ...string) ([]string, []string) { return nil, tokens },
}

func TestBadAnswer(t *testing.T) {
	body := []byte("the body of the answer")
	type craft func(t *testing.T, p *pair, dispatch string) []string
	good := func(t *testing.T, p *pair, dispatch string) *ecttest.Token {
		t.Helper()
		return p.to.Token(p.from.Identity).After(t, true, dispatch)
	}
	one := func(change func(t *testing.T, p *pair, tok *ecttest.Token) *ecttest.Token) craft {
		return func(t *testing.T, p *pair, dispatch string) []string {
			t.Helper()
			return []string{change(t, p, good(t, p, dispatch)).Sign(t)}
		}
	}
	for name, c := range map[string]struct {
		craft craft
		code  core.Code
	}{
		"good": {one(func(_ *testing.T, _ *pair, tok *ecttest.Token) *ecttest.Token { return tok }), 0},
		"good over this body": {one(func(_ *testing.T, _ *pair, tok *ecttest.Token) *ecttest.Token {
			return tok.With("out_hash", hashText(body)).With("inp_hash", hashText([]byte("sent")))
		}), 0},
		"good without digests": {func(t *testing.T, p *pair, dispatch string) []string {
			return []string{p.to.Token(p.from.Identity).After(t, false, dispatch).Sign(t)}
		}, 0},
		"good with context": {func(t *testing.T, p *pair, dispatch string) []string {
			step := p.to.Token(p.to.Identity).With("wid", parse(t, dispatch).ClaimsWithoutVerification().Workflow.String()).Sign(t)
			return []string{step, p.to.Token(p.from.Identity).After(t, true, dispatch, step).Sign(t)}
		}, 0},
		"another issuer": {func(t *testing.T, p *pair, dispatch string) []string {
			return []string{p.domain.Agent(t, "other").Token(p.from.Identity).After(t, true, dispatch).Sign(t)}
		}, core.CodeAnswer},
		"another dispatch": {func(t *testing.T, p *pair, dispatch string) []string {
			other := p.from.Token(p.to.Identity).With("wid", parse(t, dispatch).ClaimsWithoutVerification().Workflow.String()).Sign(t)
			return []string{p.to.Token(p.from.Identity).After(t, true, other).Sign(t)}
		}, core.CodeAnswer},
		"no dispatch": {func(t *testing.T, p *pair, dispatch string) []string {
			return []string{p.to.Token(p.from.Identity).With("wid", parse(t, dispatch).ClaimsWithoutVerification().Workflow.String()).Sign(t)}
		}, core.CodeAnswer},
		"another workflow": {one(func(_ *testing.T, _ *pair, tok *ecttest.Token) *ecttest.Token {
			return tok.With("wid", "11111111-1111-4111-8111-111111111111")
		}), core.CodeWorkflow},
		"another digest": {one(func(_ *testing.T, _ *pair, tok *ecttest.Token) *ecttest.Token {
			return tok.With("ect_ext", map[string]any{"pred_dig": []string{"AAAAAAAAAAAAAAAAAAAAAA"}})
		}), core.CodePredDigest},
		"another key": {one(func(t *testing.T, _ *pair, tok *ecttest.Token) *ecttest.Token {
			tok.Key = ecttest.NewKey(t, core.ES256)
			return tok
		}), core.CodeSignature},
		"unsigned": {func(t *testing.T, p *pair, dispatch string) []string {
			return []string{good(t, p, dispatch).Unsigned(t)}
		}, core.CodeLevel},
		"for somebody else": {one(func(_ *testing.T, p *pair, tok *ecttest.Token) *ecttest.Token {
			return tok.With("aud", p.to.Identity)
		}), core.CodeAudience},
		"expired": {one(func(_ *testing.T, _ *pair, tok *ecttest.Token) *ecttest.Token {
			return tok.With("iat", time.Now().Add(-time.Minute).Unix()).With("exp", time.Now().Add(-40*time.Second).Unix())
		}), core.CodeExpired},
		"two heads": {func(t *testing.T, p *pair, dispatch string) []string {
			return []string{good(t, p, dispatch).Sign(t), good(t, p, dispatch).Sign(t)}
		}, core.CodeAnswer},
		"two heads on a line": {func(t *testing.T, p *pair, dispatch string) []string {
			return []string{good(t, p, dispatch).Sign(t) + ", " + good(t, p, dispatch).Sign(t)}
		}, core.CodeAnswer},
		"the dispatch itself": {func(_ *testing.T, _ *pair, dispatch string) []string { return []string{dispatch} }, core.CodeAudience},
		"malformed":           {func(*testing.T, *pair, string) []string { return []string{"a.b.c"} }, core.CodeMalformed},
		"too long": {func(*testing.T, *pair, string) []string {
			return []string{strings.Repeat("A", core.DefaultTokenBytes+1)}
		}, core.CodeTooLarge},
		"an empty field": {func(*testing.T, *pair, string) []string { return []string{""} }, core.CodeRequired},
		"another response": {one(func(_ *testing.T, _ *pair, tok *ecttest.Token) *ecttest.Token {
			return tok.With("out_hash", hashText([]byte("x")))
		}), core.CodeBody},
		"another request": {one(func(_ *testing.T, _ *pair, tok *ecttest.Token) *ecttest.Token {
			return tok.With("inp_hash", hashText([]byte("x")))
		}), core.CodeBody},
	} {
		for place, put := range places {
			for policy, optional := range map[string]core.AnswerPolicy{"required": core.AnswerRequired, "optional": core.AnswerOptional} {
				t.Run(fmt.Sprint(name, ", ", place, ", ", policy), func(t *testing.T) {
					protos(t, func(t *testing.T, proto string) {
						var p *pair
						p = newPair(t, impostor(t, body, func(dispatch string) (header, trailer []string) {
							return put(c.craft(t, p, dispatch)...)
						}), bare, over(proto), func(c *calls) { c.peer.Answer = optional })
						ctx, task := p.start(t)
						r, err := p.call(ctx, t, "POST", "/", strings.NewReader("sent"))
						if err != nil {
							t.Fatalf("call: %v; what is wrong with an answer is an error of the body", err)
						}
						d := p.told.next(t).Claims()
						if got := tokensIn(r.Header); len(got) > 0 {
							t.Errorf("%d tokens are left in the header", len(got))
						}
						if r.err == nil || r.place() != "none" {
							if got := tokensIn(r.Trailer); len(got) > 0 {
								t.Errorf("%d tokens are left in the trailer", len(got))
							}
						}
						answer, ok := httpect.AnswerOf(r.Response)
						last := end(ctx, t, task)
						if c.code == 0 {
							if r.err != nil || !bytes.Equal(r.body, body) || !ok {
								t.Fatalf("%v, body %q, AnswerOf %v", r, r.body, ok)
							}
							onlyPred(t, last, answer.Heads()[0].Claims().TaskID, "the answer")
							return
						}
						if name == "too long" && place == "trailer" && proto == http1 {
							if r.err == nil { // net/http itself refuses a trailer that long
								t.Error("the body seems whole")
							}
						} else if core.CodeOf(r.err) != c.code {
							t.Errorf("reading = %v, want code %v", r.err, c.code)
						}
						if place == "header" && len(r.body) > 0 {
							t.Errorf("%d bytes came of a body whose answer is bad", len(r.body))
						}
						if c.code == core.CodeBody {
							if got := p.told.codes(&p.told.differed); len(got) != 1 {
								t.Errorf("reported as differing: %v", got)
							}
							return // the answer itself is good
						}
						if ok {
							t.Error("AnswerOf gives an answer that is bad")
						}
						onlyPred(t, last, d.TaskID, "the dispatch")
					})
				})
			}
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

// TestAnswerTwice: an answer in both header and trailer is malformed.
func TestAnswerTwice(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, same := range map[string]bool{"the same": true, "two": false} {
			var p *pair
			p = newPair(t, impostor(t, []byte("body"), func(dispatch string) (header, trailer []string) {
				a := p.to.Token(p.from.Identity).After(t, true, dispatch).Sign(t)
				b := a
				if !same {
					b = p.to.Token(p.from.Identity).After(t, true, dispatch).Sign(t)
				}
				return []string{a}, []string{b}
			}), bare, answerOptional, over(proto))
			ctx, _ := p.start(t)
			r, err := p.call(ctx, t, "GET", "/", nil)
			if err != nil || core.CodeOf(r.err) != core.CodeMalformed {
				t.Errorf("%s: %v, %v; want malformed", name, r, err)
			}
			if len(tokensIn(r.Trailer)) > 0 {
				t.Error("a token is left in the trailer")
			}
		}
	})
}

// TestNoAnswer: where one is required, reading and closing say so, and the call does not.
func TestNoAnswer(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, h := range map[string]http.HandlerFunc{
			"nothing written": empty, "small": writes(10), "streaming": flushes(writes(10)), "204": answers(204),
			"announced and not sent": with("Trailer", httpect.FieldName, flushes(writes(10))),
		} {
			t.Run(name, func(t *testing.T) {
				want := core.CodeAnswer
				if strings.HasPrefix(name, "announced") {
					want = core.CodeAltered
				}
				p := newPair(t, h, bare, over(proto))
				ctx, task := p.start(t)
				resp, err := p.client.Do(newRequest(t, "GET", p.site.URL, nil).WithContext(ctx))
				if err != nil {
					t.Fatalf("Do: %v; the call happened", err)
				}
				if _, err := io.ReadAll(resp.Body); core.CodeOf(err) != want {
					t.Errorf("reading = %v, want code %v", err, want)
				}
				for range 2 {
					if err := resp.Body.Close(); core.CodeOf(err) != want {
						t.Errorf("Close = %v, want code %v", err, want)
					}
				}
				resp, err = p.client.Do(newRequest(t, "GET", p.site.URL, nil).WithContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				if err := resp.Body.Close(); core.CodeOf(err) != want {
					t.Errorf("Close without reading = %v, want code %v", err, want)
				}
				p.told.next(t)
				second := p.told.next(t).Claims()
				onlyPred(t, end(ctx, t, task), second.TaskID, "the dispatch")

				p = newPair(t, h, bare, answerOptional, over(proto))
				ctx, task = p.start(t)
				r, err := p.call(ctx, t, "GET", "/", nil)
				if err != nil || r.err != nil {
					t.Errorf("where it is optional: %v, %v", r, err)
				}
				if _, ok := httpect.AnswerOf(r.Response); ok {
					t.Error("AnswerOf: an answer out of nothing")
				}
				onlyPred(t, end(ctx, t, task), p.told.next(t).Claims().TaskID, "the dispatch")
			})
		}
	})
}

// TestAnswered goes through the shapes that a real answer has.
func TestAnswered(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"nothing written": empty, "small": writes(10), "as large as the buffer": writes(httpect.DefaultResponseBuffer),
		"streaming": writes(httpect.DefaultResponseBuffer, 1), "large": writes(1<<20, 1<<20, 7), "flushed": flushes(writes(10)),
		"204": answers(204), "304": answers(304), "404": http.NotFound, "500": answers(500),
		"a length": with("Content-Length", "40000", writes(40000)),
	} {
		t.Run(name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				for _, method := range []string{"GET", "HEAD", "POST"} {
					p := newPair(t, h, over(proto))
					ctx, task := p.start(t)
					r, err := p.call(ctx, t, method, "/", nil)
					if err != nil || r.err != nil {
						t.Fatalf("%s: %v, %v", method, r, err)
					}
					answer, ok := httpect.AnswerOf(r.Response)
					if !ok {
						t.Fatalf("%s: AnswerOf: none", method)
					}
					if c := answer.Heads()[0].Claims(); c.OutHash != hashOf(r.body) || c.Ext.Status != r.StatusCode {
						t.Errorf("%s: out_hash = %v, status = %d with %d", method, c.OutHash, c.Ext.Status, r.StatusCode)
					}
					onlyPred(t, end(ctx, t, task), answer.Heads()[0].Claims().TaskID, "the answer")
				}
			})
		})
	}
}

// TestAnswerOfWrapped: the answer is found behind what http.Client and others wrap the
// body in.
func TestAnswerOfWrapped(t *testing.T) {
	p := newPair(t, writes(10))
	ctx, _ := p.start(t)
	p.client.Timeout = time.Hour
	r, err := p.call(ctx, t, "GET", "/", nil)
	if err != nil || r.err != nil {
		t.Fatalf("call = %v, %v", r, err)
	}
	if _, ok := httpect.AnswerOf(r.Response); !ok {
		t.Error("AnswerOf with http.Client.Timeout set: none")
	}
	if _, ok := httpect.AnswerOf(&http.Response{}); ok {
		t.Error("AnswerOf of a response of nobody's: one")
	}
}
