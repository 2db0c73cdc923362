// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// sentAgain takes a request's body anew, as net/http does after a connection broke.
func sentAgain(base http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		if err := r.Body.Close(); err != nil {
			return nil, err
		}
		second := r.WithContext(r.Context())
		second.Body = body
		return base.RoundTrip(second)
	})
}

// TestTrailerSentAgain: a body that is sent again brings the caller's trailer as the first
// does, and no token of others in it.
func TestTrailerSentAgain(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, c := range map[string]struct {
			edit func(*calls)
			room int
		}{
			"to a peer":            {func(*calls) {}, httpect.DefaultHeaderBytes / 2},
			"to a peer, in a body": {func(*calls) {}, noRoom},
			"to a stranger":        {func(c *calls) { c.peer.Tokens = false }, httpect.DefaultHeaderBytes / 2},
		} {
			for how, base := range map[string]func(http.RoundTripper) http.RoundTripper{
				"once": func(base http.RoundTripper) http.RoundTripper { return base }, "again": sentAgain,
			} {
				t.Run(name+", "+how, func(t *testing.T) {
					came := make(chan http.Header, 1)
					p := foldingPair(t, http.HandlerFunc(empty), over(proto), answerOptional, c.edit, func(c *calls) { c.base = base },
						func(c *calls) {
							c.wrap = func(s *core.Service) http.Handler {
								return httpect.Middleware(s, httpect.WithMode(httpect.Optional), httpect.WithBodyFallback())(
									http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
										if got, err := look(r); err != nil || got.Body != "the body" {
											t.Errorf("the handler sees %+v, %v", got, err)
										}
										came <- r.Trailer
									}))
							}
						})
					ctx, _ := p.start(t)
					req := padded(t, "PUT", p.site.URL, nil, c.room).WithContext(ctx)
					req.Trailer = http.Header{"X-Sum": nil}
					req.GetBody = func() (io.ReadCloser, error) {
						return io.NopCloser(io.MultiReader(strings.NewReader("the body"), atEOF(func() {
							req.Trailer.Set("X-Sum", "42")
							req.Trailer.Set(httpect.FieldName, "another's")
						}))), nil
					}
					req.ContentLength = -1
					var err error
					if req.Body, err = req.GetBody(); err != nil {
						t.Fatal(err)
					}
					if r, err := readReply(p.client.Do(req)); err != nil || r.err != nil || r.StatusCode != 200 {
						t.Fatalf("Do = %v, %v", r, err)
					}
					if got := wait(t, came, "the handler"); got.Get("X-Sum") != "42" || hasOurs(got) {
						t.Errorf("the trailer is %v", got)
					}
				})
			}
		}
	})
}

// TestNoBody: a base gives responses without any body, which net/http's client puts up
// with.
func TestNoBody(t *testing.T) {
	for name, c := range map[string]struct {
		resp *http.Response
		edit func(*calls)
		want core.Code // of reading, 0 for the end
	}{
		"not answered":           {&http.Response{StatusCode: 200}, answerOptional, 0},
		"no answer, as required": {&http.Response{StatusCode: 200}, func(*calls) {}, core.CodeAnswer},
		"an error":               {&http.Response{StatusCode: 500}, answerOptional, 0},
		"another answer": {&http.Response{StatusCode: 200, Header: http.Header{httpect.FieldName: {"e30"}}},
			answerOptional, core.CodeClaims},
		"as one refused": {&http.Response{StatusCode: 403, ContentLength: 50, Header: http.Header{"Content-Type": {"application/problem+json"}}},
			answerOptional, 0},
		"compressed": {&http.Response{StatusCode: 200, Header: http.Header{"Content-Encoding": {"gzip"}}}, answerOptional, 0},
		"to a stranger": {&http.Response{StatusCode: 200, Header: http.Header{httpect.FieldName: {"e30"}}},
			func(c *calls) { c.peer.Tokens, c.peer.Answer = false, core.AnswerOptional }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, untouched(t), c.edit, func(cs *calls) {
				cs.base = func(http.RoundTripper) http.RoundTripper {
					return roundTrip(func(r *http.Request) (*http.Response, error) {
						resp := *c.resp
						resp.Request = r
						if resp.Header = resp.Header.Clone(); resp.Header == nil {
							resp.Header = http.Header{}
						}
						return &resp, nil
					})
				}
			})
			ctx, _ := p.start(t)
			req := newRequest(t, "GET", p.site.URL, nil).WithContext(ctx)
			resp, err := p.client.Transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if hasOurs(resp.Header) {
				t.Errorf("the caller finds %v", resp.Header)
			}
			if resp.Body == nil {
				return
			}
			r, err := readReply(resp, nil)
			if err != nil || len(r.body) > 0 || core.CodeOf(r.err) != c.want {
				t.Errorf("%v, %v; want that reading ends with %v", r, err, c.want)
			}
			if c.want == 0 && r.err != nil && !errors.Is(r.err, io.ErrUnexpectedEOF) {
				t.Errorf("reading ends with %v", r.err)
			}
		})
	}
}
