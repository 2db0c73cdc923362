// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"io"
	"net/http"
	"slices"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/otelbridge"
)

// find returns the span that stands for a task.
func find(t *testing.T, w *party, task core.UUID) sdktrace.ReadOnlySpan {
	t.Helper()
	for _, s := range w.spans.Ended() {
		if attr(s.Attributes(), otelbridge.AttrTaskID) == task.String() {
			return s
		}
	}
	t.Fatalf("%s has no span of task %s", w.Identity, task)
	return nil
}

// events returns the task ids of a span's events of one name.
func events(s sdktrace.ReadOnlySpan, name string) (tasks []string) {
	for _, e := range s.Events() {
		if e.Name == name {
			tasks = append(tasks, attr(e.Attributes, otelbridge.AttrTaskID))
		}
	}
	return tasks
}

// links returns the ids of the spans that a span points to.
func links(s sdktrace.ReadOnlySpan) (spans []string) {
	for _, l := range s.Links() {
		spans = append(spans, l.SpanContext.SpanID().String())
	}
	return spans
}

// TestChain: over HTTP with otelhttp outside on both sides, a call's span stands for its
// dispatch, the server's for the task; each has an event for what it comes after, and a link
// where the span of that is known.
func TestChain(t *testing.T) {
	d := ecttest.NewDomain()
	a, b := newParty(t, d, "a", otelbridge.ShowTasks()), newParty(t, d, "b", otelbridge.ShowTasks())
	b.serve(t, d, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "done") //nolint:errcheck // the client would notice
	}), core.Audience{ID: a.Identity, Tokens: true, Hashes: true})
	a.dial(t, d, core.Audience{ID: b.Identity, Tokens: true, Hashes: true, Endpoints: []string{b.server.URL}, Answer: core.AnswerRequired})
	var issued []*core.Issued
	ctx, span := a.tracers.Tracer("test").Start(t.Context(), "job")
	ctx, task, err := a.service.StartTask(ctx, "job")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := get(ctx, t, a.client, b.server.URL); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := task.Finish(ctx, core.Completion{})
	if err != nil {
		t.Fatal(err)
	}
	span.End()
	issued = append(issued, answer.Issued)
	end := find(t, a, issued[0].TaskID())
	if end.Name() != "job" || attr(end.Attributes(), otelbridge.AttrOutcome) != "ok" || attr(end.Attributes(), otelbridge.AttrPredecessorCount) != "1" {
		t.Errorf("the task's span is %q with %v", end.Name(), end.Attributes())
	}
	// What the end comes after is the second answer, which came on the second call's span.
	want := issued[0].Claims().Pred[0]
	if got := events(end, otelbridge.EventPredecessor); !slices.Equal(got, []string{want.String()}) {
		t.Errorf("the end's predecessors are %q, want %q", got, want)
	}
	second := a.spans.Ended()[1]
	if got := events(second, otelbridge.EventAnswer); !slices.Equal(got, []string{want.String()}) {
		t.Errorf("the second call's answers are %q, want %q", got, want)
	}
	if got := links(end); !slices.Equal(got, []string{second.SpanContext().SpanID().String()}) {
		t.Errorf("the end points to %q, want the second call %q", got, second.SpanContext().SpanID())
	}
	first := a.spans.Ended()[0]
	if got := links(second); !slices.Equal(got, []string{first.SpanContext().SpanID().String()}) {
		t.Errorf("the second call points to %q, want the first %q", got, first.SpanContext().SpanID())
	}
	served := find(t, b, want)
	if got := events(served, otelbridge.EventPredecessor); !slices.Equal(got, []string{attr(second.Attributes(), otelbridge.AttrTaskID)}) {
		t.Errorf("the second request's predecessors are %q, want its dispatch", got)
	}
}

// TestGuests: several units of work in one span lose no task id: the span stands for the
// first of them, and the others are told in events, also where another bridge has them.
func TestGuests(t *testing.T) {
	d := ecttest.NewDomain()
	a, b := newParty(t, d, "a", otelbridge.ShowTasks()), newParty(t, d, "b", otelbridge.ShowTasks())
	a.dial(t, d)
	b.dial(t, d)
	ctx, span := a.tracers.Tracer("test").Start(t.Context(), "job")
	var tasks []string
	for _, w := range []*party{a, a, b} {
		ctx, task, err := w.service.StartTask(ctx, "job")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := task.Finish(ctx, core.Completion{}); err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, task.ID().String())
	}
	span.End()
	got := a.spans.Ended()[0]
	if id := attr(got.Attributes(), otelbridge.AttrTaskID); id != tasks[0] {
		t.Errorf("the span stands for %q, want %q", id, tasks[0])
	}
	if ids := events(got, otelbridge.EventTask); !slices.Equal(ids, tasks[1:]) {
		t.Errorf("its events tell of %q, want %q", ids, tasks[1:])
	}
}
