// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
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
