// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
)

// workLog has what was issued and traced, by workflow.
type workLog struct {
	mu     sync.Mutex
	tokens map[string][]string
	traces map[string]map[string]bool
}

func (l *workLog) token(workflow core.Workflow, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tokens[workflow.String()] = append(l.tokens[workflow.String()], text)
}

// trace notes that the span of ctx works for a workflow.
func (l *workLog) trace(ctx context.Context, workflow string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.traces[workflow] == nil {
		l.traces[workflow] = map[string]bool{}
	}
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		l.traces[workflow][sc.TraceID().String()] = true
	}
}

// forWorkflow is the header by which the test knows for whom a request is, refused or not.
const forWorkflow = "Test-Workflow"

// noted notes the trace of each request.
func (l *workLog) noted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.trace(r.Context(), r.Header.Get(forWorkflow))
		next.ServeHTTP(w, r)
	})
}

// tracesOf returns the ids of the traces of a workflow.
func (l *workLog) tracesOf(w core.Workflow) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.traces[w.String()]))
}

// workflowOf returns the workflow of a trace.
func (l *workLog) workflowOf(t *testing.T, trace string) (w core.Workflow) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for text, traces := range l.traces {
		if traces[trace] {
			return workflow(t, text)
		}
	}
	t.Fatalf("the trace %s is of no workflow", trace)
	return w
}

// needles returns what could be told of the tokens of a workflow.
func (l *workLog) needles(t *testing.T, w core.Workflow) (all []needle) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, token := range l.tokens[w.String()] {
		all = append(all, needles(t, token)...)
	}
	return all
}

// issued returns the first token of a workflow that has this issuer and action.
func (l *workLog) issued(t *testing.T, w core.Workflow, issuer, action string) string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range l.tokens[w.String()] {
		u, err := core.ParseWithoutVerification(text)
		if err != nil {
			t.Fatal(err)
		}
		if u.ClaimedIssuer() == issuer && u.ClaimsWithoutVerification().Action == action {
			return text
		}
	}
	t.Fatalf("%s issued no token with the action %q", issuer, action)
	return ""
}

// claims returns the claims of that token.
func (l *workLog) claims(t *testing.T, w core.Workflow, issuer, action string) core.Claims {
	t.Helper()
	u, err := core.ParseWithoutVerification(l.issued(t, w, issuer, action))
	if err != nil {
		t.Fatal(err)
	}
	return u.ClaimsWithoutVerification()
}

// rendezvous returns what waits until n have called it.
func rendezvous(n int) func(context.Context) error {
	var mu sync.Mutex
	all := make(chan struct{})
	return func(ctx context.Context) error {
		mu.Lock()
		if n--; n == 0 {
			close(all)
		}
		mu.Unlock()
		select {
		case <-all:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(patience):
			return errors.New("the other workflow did not come")
		}
	}
}
