// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package jaegertest_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/internal/jaegertest"
)

// escaped is what JSON may write in other ways.
const escaped = "<&>\"\\/ \u2028\x7f"

// world has a task of a service "planner", which calls a service "tool" in the same trace,
// and a task of a service "auditor" in a trace of its own, whose predecessor the first is.
func world(t *testing.T) *jaegertest.Jaeger {
	t.Helper()
	j := jaegertest.Start(t)
	export(t, j, map[string][]any{
		"planner": {
			span(1, 1, "plan", state("vendor=state"), failed("why it failed"),
				with("ect.task.id", "urn:task:1", "ect.level", "L2", "count", 3, "ratio", 1.5, "flag", true,
					"bytes", []byte{1, 2}, "list", []string{"p", "q"}),
				event(1, "first", "note", "one"), event(1, "second", "note", "two")),
			span(1, 2, "call", childOf(1), with("ect.step", "2")),
		},
		"tool": {span(1, 3, "serve", childOf(2), succeeded(), with("ect.task.id", "urn:task:3"))},
	})
	export(t, j, map[string][]any{"auditor": {
		span(2, 4, "audit", with("ect.task.id", "urn:task:4"),
			event(4, "ect.predecessor", "ect.task.id", "urn:task:1", "list", []string{"p", "q"}, "escaped", escaped),
			link(1, 1, "link=state", "link.tag", "of a link"), link(9, 9, "")),
	}})
	return j
}

// TestFind says what Jaeger finds, and what it does not.
func TestFind(t *testing.T) {
	j := world(t)
	one, two := traceID(1), traceID(2)
	for _, tt := range []struct {
		name    string
		service string
		tags    []string // pairs
		want    []string // traces
	}{
		{"all of a service", "planner", nil, []string{one}},
		{"all, each once", "", nil, []string{one, two}},
		{"nothing of a service that is not there", "nobody", nil, nil},
		{"by an attribute of a span", "tool", []string{"ect.task.id", "urn:task:3"}, []string{one}},
		{"by a field of an event", "auditor", []string{"ect.task.id", "urn:task:1"}, []string{two}},
		{"by a field of any event", "planner", []string{"note", "two"}, []string{one}},
		{"a task and who follows it, in all services", "", []string{"ect.task.id", "urn:task:1"}, []string{one, two}},
		{"by a whole value only", "tool", []string{"ect.task.id", "urn:task"}, nil},
		{"by a name in its case only", "tool", []string{"ECT.task.id", "urn:task:3"}, nil},
		{"not what another service has in the same trace", "planner", []string{"ect.task.id", "urn:task:3"}, nil},
		{"by two attributes of a span", "planner", []string{"ect.task.id", "urn:task:1", "ect.level", "L2"}, []string{one}},
		{"by an attribute and a field of an event of a span", "planner", []string{"ect.level", "L2", "note", "two"}, []string{one}},
		{"not by attributes of two spans", "planner", []string{"ect.task.id", "urn:task:1", "ect.step", "2"}, nil},
		{"by an attribute of a resource", "tool", []string{"resource.tag", "r-tool"}, []string{one}},
		{"by an attribute of a scope", "tool", []string{"scope.tag", "s-tool"}, []string{one}},
		{"not by the name of a scope", "tool", []string{"otel.scope.name", "a/scope"}, nil},
		{"by a number", "planner", []string{"count", "3"}, []string{one}},
		{"by a fraction", "planner", []string{"ratio", "1.5"}, []string{one}},
		{"by a truth", "planner", []string{"flag", "true"}, []string{one}},
		{"by bytes as base64", "planner", []string{"bytes", "AQI="}, []string{one}},
		{"by a list as JSON", "planner", []string{"list", `["p","q"]`}, []string{one}},
		{"by a list of an event as JSON", "auditor", []string{"list", `["p","q"]`}, []string{two}},
		{"not by an element of a list", "planner", []string{"list", "p"}, nil},
		{"by error not what failed, in this version", "planner", []string{"error", "true"}, nil},
		{"by error what is said to have succeeded, in this version", "tool", []string{"error", "true"}, []string{one}},
		{"not by the status", "planner", []string{"otel.status_code", "ERROR"}, nil},
		{"not by the kind of a span", "planner", []string{"span.kind", "server"}, nil},
		{"not by the name of an event", "planner", []string{"event", "first"}, nil},
		{"not by an attribute of a link", "auditor", []string{"link.tag", "of a link"}, nil},
		{"not by the trace state", "planner", []string{"w3c.tracestate", "vendor=state"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tags := map[string]string{}
			for i := 0; i < len(tt.tags); i += 2 {
				tags[tt.tags[i]] = tt.tags[i+1]
			}
			traces, err := j.Find(t.Context(), tt.service, tags)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, trace := range traces {
				got = append(got, trace.ID)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Find(%q, %v) differs (-want +got):\n%s", tt.service, tags, diff)
			}
		})
	}
}

// TestFindNeedsAService asks Jaeger itself: there is no search over all services.
func TestFindNeedsAService(t *testing.T) {
	j := world(t)
	resp, err := http.Get(j.UI() + "/api/traces?tags=" + url.QueryEscape(`{"ect.task.id":"urn:task:1"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if want := "parameter 'service' is required"; resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), want) {
		t.Errorf("status %d, %s, %v, want 400 and %q", resp.StatusCode, body, err, want)
	}
}

func TestServices(t *testing.T) {
	j := world(t)
	got, err := j.Services(t.Context())
	if want := []string{"auditor", "planner", "tool"}; !slices.Equal(got, want) || err != nil {
		t.Errorf("Services = %q, %v, want %q", got, err, want)
	}
}

// TestTraceShows says what Jaeger shows of all that a span can have.
func TestTraceShows(t *testing.T) {
	j := world(t)
	scope := map[string]string{"otel.scope.name": "a/scope", "otel.scope.version": "v1", "span.kind": "server"}
	tags := func(pairs ...string) map[string]string {
		m := maps.Clone(scope)
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	at := func(n int, later time.Duration) time.Time { return start.Add(time.Duration(n)*time.Second + later) }
	process := func(name string) map[string]string { return map[string]string{"resource.tag": "r-" + name} }

	want := []jaegertest.Trace{
		{ID: traceID(1), Spans: []jaegertest.Span{
			{
				TraceID: traceID(1), ID: spanID(1), Name: "plan", Service: "planner", Start: at(1, 0), Duration: lasts(1),
				Tags: tags("ect.task.id", "urn:task:1", "ect.level", "L2", "count", "3", "ratio", "1.5", "flag", "true",
					"bytes", "AQI=", "list", `["p","q"]`, "w3c.tracestate", "vendor=state",
					"error", "true", "otel.status_code", "ERROR", "otel.status_description", "why it failed"),
				Process: process("planner"),
				Events: []jaegertest.Event{
					{Name: "first", At: at(1, 100*time.Millisecond), Fields: map[string]string{"note": "one"}},
					{Name: "second", At: at(1, 100*time.Millisecond), Fields: map[string]string{"note": "two"}},
				},
				StatusError: true,
			},
			{
				TraceID: traceID(1), ID: spanID(2), Name: "call", Service: "planner", Start: at(2, 0), Duration: lasts(2),
				Tags: tags("ect.step", "2"), Process: process("planner"),
				References: []jaegertest.Reference{{Type: "CHILD_OF", TraceID: traceID(1), SpanID: spanID(1)}},
			},
			{
				TraceID: traceID(1), ID: spanID(3), Name: "serve", Service: "tool", Start: at(3, 0), Duration: lasts(3),
				Tags: tags("ect.task.id", "urn:task:3", "otel.status_code", "OK"), Process: process("tool"),
				References: []jaegertest.Reference{{Type: "CHILD_OF", TraceID: traceID(1), SpanID: spanID(2)}},
			},
		}},
		{ID: traceID(2), Spans: []jaegertest.Span{{
			TraceID: traceID(2), ID: spanID(4), Name: "audit", Service: "auditor", Start: at(4, 0), Duration: lasts(4),
			Tags: tags("ect.task.id", "urn:task:4"), Process: process("auditor"),
			Events: []jaegertest.Event{{
				Name: "ect.predecessor", At: at(4, 100*time.Millisecond),
				Fields: map[string]string{"ect.task.id": "urn:task:1", "list": `["p","q"]`, "escaped": escaped},
			}},
			References: []jaegertest.Reference{
				{Type: "FOLLOWS_FROM", TraceID: traceID(1), SpanID: spanID(1)},
				{Type: "FOLLOWS_FROM", TraceID: traceID(9), SpanID: spanID(9)},
			},
		}}},
	}
	var got []jaegertest.Trace
	for _, id := range []string{traceID(1), traceID(2)} {
		trace, err := j.Trace(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, trace)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Trace differs (-want +got):\n%s", diff)
	}
	found, err := j.Find(t.Context(), "", nil)
	if diff := cmp.Diff(want, found); diff != "" || err != nil {
		t.Errorf("Find: %v (-want +got):\n%s", err, diff)
	}
}

// TestStored says that Jaeger has more than it shows: what links have, and scopes.
func TestStored(t *testing.T) {
	j := world(t)
	for _, tt := range []struct {
		name         string
		trace        int
		want, absent []string
	}{
		{"of a link", 2, []string{"link.tag", "of a link", "link=state"}, []string{"urn:task:3"}},
		{"of a scope", 1, []string{"scope.tag", "s-planner", "s-tool"}, []string{"s-auditor"}},
		{"of a resource", 1, []string{"resource.tag", "r-planner", "r-tool"}, []string{"r-auditor"}},
		{"of a span", 1, []string{"plan", "vendor=state", "urn:task:1", "3", "1.5", "true", "AQI=", "p", "q", "why it failed"}, []string{"urn:task:4"}},
		{"of an event", 1, []string{"first", "note", "one", "second", "two"}, []string{"ect.predecessor"}},
		{"what JSON escapes", 2, []string{escaped}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := j.Texts(t.Context(), traceID(tt.trace))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !slices.Contains(got, want) {
					t.Errorf("Texts does not have %q: %q", want, got)
				}
			}
			for _, absent := range tt.absent {
				if slices.Contains(got, absent) {
					t.Errorf("Texts has %q: %q", absent, got)
				}
			}
		})
	}
	shown, err := j.Trace(t.Context(), traceID(2))
	if err != nil || strings.Contains(fmt.Sprint(shown), "link") || strings.Contains(fmt.Sprint(shown), "scope.tag") {
		t.Errorf("Trace shows what links or scopes have: %+v, %v", shown, err)
	}
}

// TestLinkToNothing has a link without ids, which Jaeger keeps, and warns of.
func TestLinkToNothing(t *testing.T) {
	j := jaegertest.Start(t)
	export(t, j, map[string][]any{"auditor": {span(1, 1, "audit", func(s map[string]any) {
		s["links"] = []any{map[string]any{"traceId": "", "spanId": "", "attributes": attributes("link.tag", "of a link")}}
	})}})
	trace, err := j.Trace(t.Context(), traceID(1))
	if err != nil {
		t.Fatal(err)
	}
	audit, ok := trace.Named("audit")
	if !ok || len(audit.References) != 0 || !strings.Contains(strings.Join(audit.Warnings, ""), "Invalid span reference removed") {
		t.Errorf("audit = %+v, %t, want a warning and no reference", audit, ok)
	}
	if texts, err := j.Texts(t.Context(), traceID(1)); !slices.Contains(texts, "of a link") || err != nil {
		t.Errorf("Texts = %q, %v, want the attribute of the link", texts, err)
	}
}

func TestTraceIsNotThere(t *testing.T) {
	j := world(t)
	if got, err := j.Trace(t.Context(), traceID(7)); err == nil {
		t.Errorf("Trace = %+v, want an error", got)
	}
	if got, err := j.Stored(t.Context(), traceID(7)); err == nil {
		t.Errorf("Stored = %s, want an error", got)
	}
	if got, err := j.Texts(t.Context(), "no/id"); err == nil {
		t.Errorf("Texts = %q, want an error", got)
	}
}

// TestSpanOf looks for spans by what they are to each other.
func TestSpanOf(t *testing.T) {
	j := world(t)
	export(t, j, map[string][]any{"planner": {span(1, 5, "call", childOf(1)), span(3, 6, "orphan", childOf(8))}})
	trace, err := j.Trace(t.Context(), traceID(1))
	if err != nil {
		t.Fatal(err)
	}
	serve, ok := trace.Named("serve")
	if !ok || serve.Parent() != spanID(2) || len(serve.Links()) != 0 {
		t.Errorf("serve = %+v, %t, want a child of %s without links", serve, ok, spanID(2))
	}
	if plan, ok := trace.Named("plan"); !ok || plan.Parent() != "" {
		t.Errorf("plan = %+v, %t, want one without a parent", plan, ok)
	}
	for _, name := range []string{"call", "nothing"} {
		if got, ok := trace.Named(name); ok {
			t.Errorf("Named(%q) = %+v, want none: there is not one", name, got)
		}
	}
	if trace, err = j.Trace(t.Context(), traceID(2)); err != nil {
		t.Fatal(err)
	}
	audit, ok := trace.Named("audit")
	want := []jaegertest.Reference{
		{Type: "FOLLOWS_FROM", TraceID: traceID(1), SpanID: spanID(1)},
		{Type: "FOLLOWS_FROM", TraceID: traceID(9), SpanID: spanID(9)},
	}
	if diff := cmp.Diff(want, audit.Links()); !ok || audit.Parent() != "" || diff != "" {
		t.Errorf("audit = %+v, %t, want no parent (-want +got):\n%s", audit, ok, diff)
	}
	if trace, err = j.Trace(t.Context(), traceID(3)); err != nil {
		t.Fatal(err)
	}
	if orphan, ok := trace.Named("orphan"); !ok || orphan.Parent() != spanID(8) || len(orphan.Warnings) == 0 {
		t.Errorf("orphan = %+v, %t, want a child of %s, and a warning that Jaeger does not have that", orphan, ok, spanID(8))
	}
}

func TestAwait(t *testing.T) {
	j := jaegertest.Start(t)
	looked := 0
	got := j.Await(t, "", map[string]string{"ect.task.id": "urn:task:1"}, func(traces []jaegertest.Trace) bool {
		if looked++; looked == 1 {
			export(t, j, map[string][]any{"later": {span(1, 1, "x", with("ect.task.id", "urn:task:1"))}})
		}
		return len(traces) == 1
	})
	if len(got) != 1 || got[0].ID != traceID(1) || looked < 2 {
		t.Errorf("Await = %+v, having looked %d times, want %s", got, looked, traceID(1))
	}
}

func TestAwaitFails(t *testing.T) {
	j := world(t)
	ctx, cancel := context.WithCancel(t.Context())
	r := recorder{TB: t, ctx: ctx}
	r.run(func(tb testing.TB) {
		j.Await(tb, "tool", map[string]string{"ect.task.id": "urn:task:3"}, func([]jaegertest.Trace) bool {
			cancel()
			return false
		})
	})
	if want := `Jaeger has 1 traces of the service "tool" with map[ect.task.id:urn:task:3]`; !strings.HasPrefix(r.failed, want) {
		t.Errorf("failed with %q, want %q", r.failed, want)
	}
}

// TestJaegerForgets exports as many traces as Jaeger is told to keep, and one more: of those
// that came before it, one is gone.
func TestJaegerForgets(t *testing.T) {
	j := jaegertest.Start(t)
	for _, tt := range []struct{ first, last, want int }{
		{1, 1999, 1999},
		{2000, 2000, 2000},
		{2001, 2001, 2000},
	} {
		var spans []any
		for n := tt.first; n <= tt.last; n++ {
			spans = append(spans, span(n, 1, "x"))
		}
		export(t, j, map[string][]any{"many": spans})
		got, err := j.Find(t.Context(), "many", nil)
		if err != nil {
			t.Fatal(err)
		}
		if newest := got[len(got)-1].ID; len(got) != tt.want || newest != traceID(tt.last) {
			t.Errorf("after %d traces there are %d, the last %s, want %d and %s", tt.last, len(got), newest, tt.want, traceID(tt.last))
		}
	}
}
