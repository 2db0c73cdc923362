// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package jaegertest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// answering is a Jaeger that answers everything alike.
func answering(t *testing.T, status int, body io.WriterTo) *Jaeger {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = body.WriteTo(w)
	}))
	t.Cleanup(s.Close)
	return &Jaeger{at: addresses{query: strings.TrimPrefix(s.URL, "http://")}, client: s.Client()}
}

// TestAnswers has what Jaeger does not answer, or should not, be an error, and no trace that
// lacks something.
func TestAnswers(t *testing.T) {
	const (
		before = `{"data":[{"traceID":"1","processes":{"p":{"serviceName":"s","tags":[]}},"spans":[{"traceID":"1","spanID":"2","processID":"p"`
		after  = `}]}],"errors":null}`
	)
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   string // "" for none
	}{
		{"as it should be", 200, before + after, ""},
		{"a status", 500, before + after, "status 500"},
		{"no JSON", 200, "<html>", "invalid character"},
		{"half of it", 200, before, "unexpected end"},
		{"part of it is missing", 200, before + `}]}],"errors":[{"msg":"too bad"}]}`, "too bad"},
		{"no trace", 200, `{"data":[],"errors":null}`, "0 traces"},
		{"two traces", 200, `{"data":[{},{}],"errors":null}`, "2 traces"},
		{"no span", 200, `{"data":[{"traceID":"1"}]}`, "no span"},
		{"no process", 200, strings.Replace(before, `"processID":"p"`, `"processID":"q"`, 1) + after, `no process "q"`},
		{"a tag", 200, before + `,"tags":[{"key":"k","value":"a"}]` + after, ""},
		{"a tag twice", 200, before + `,"tags":[{"key":"k","value":"a"},{"key":"k","value":"b"}]` + after, `"k" is there twice`},
		{"a field twice", 200, before + `,"logs":[{"fields":[{"key":"k","value":1},{"key":"k","value":1}]}]` + after, `"k" is there twice`},
		{"a tag of a process twice", 200, strings.Replace(before, `"tags":[]`, `"tags":[{"key":"k","value":1},{"key":"k","value":1}]`, 1) + after, `"k" is there twice`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := answering(t, tt.status, strings.NewReader(tt.body))
			got, err := j.Trace(t.Context(), "1")
			switch {
			case tt.want == "" && (err != nil || len(got.Spans) != 1):
				t.Errorf("Trace = %+v, %v, want one span", got, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("Trace = %+v, %v, want an error with %q", got, err, tt.want)
			}
		})
	}
}

func TestAnswerIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int
		ok   bool
	}{
		{"below the limit", maxAnswer - 1, true},
		{"at the limit", maxAnswer, true},
		{"above the limit", maxAnswer + 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := answering(t, http.StatusOK, strings.NewReader(strings.Repeat("x", tt.size)))
			got, err := j.Stored(t.Context(), "1")
			if (err == nil) != tt.ok || tt.ok && len(got) != tt.size {
				t.Errorf("%d bytes, %v, want success: %t", len(got), err, tt.ok)
			}
		})
	}
}
