// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/go-ect/ect/httpect"
)

// TestRequestOfResponse: who logs a response, and its request with it, logs the request
// as the caller made it, and no token.
func TestRequestOfResponse(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"answered": writes(10), "in a trailer": writes(httpect.DefaultResponseBuffer, 10), "failed": answers(500),
		"upgraded": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "upgrade")
			w.Header().Set("Upgrade", "echo")
			w.WriteHeader(http.StatusSwitchingProtocols)
		},
	} {
		t.Run(name, func(t *testing.T) {
			edits := []func(*calls){answerOptional}
			if name == "upgraded" {
				edits = append(edits, bare)
			}
			p := newPair(t, h, edits...)
			ctx, _ := p.start(t)
			req := newRequest(t, "GET", p.site.URL+"/x", nil).WithContext(ctx)
			req.Header.Set("X-Other", "kept")
			req.Header.Set("Connection", "upgrade")
			req.Header.Set("Upgrade", "echo")
			resp, err := p.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got := tokensIn(resp.Request.Header); len(got) > 0 {
				t.Errorf("the response's request holds %d tokens", len(got))
			}
			if resp.Request.URL.Path != "/x" || resp.Request.Header.Get("X-Other") != "kept" {
				t.Errorf("the response's request is %v, %v", resp.Request.URL, resp.Request.Header)
			}
			if got := tokensIn(req.Header); len(got) > 0 {
				t.Errorf("the caller's request holds %d tokens", len(got))
			}
		})
	}
}

// TestRequestWithoutHeader: a request need not have a header to get tokens.
func TestRequestWithoutHeader(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		p := newPair(t, writes(10), over(proto))
		ctx, task := p.start(t)
		u, err := url.Parse(p.site.URL)
		if err != nil {
			t.Fatal(err)
		}
		req := (&http.Request{Method: "GET", URL: u}).WithContext(ctx)
		r, err := readReply(p.client.Transport.RoundTrip(req))
		if err != nil || r.err != nil || len(r.body) != 10 {
			t.Fatalf("RoundTrip = %v, %v", r, err)
		}
		answer, ok := httpect.AnswerOf(r.Response)
		if !ok {
			t.Fatal("AnswerOf: none")
		}
		if req.Header != nil {
			t.Errorf("the caller's request got the header %v", req.Header)
		}
		onlyPred(t, end(ctx, t, task), answer.Heads()[0].Claims().TaskID, "the answer")
	})
}
