// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/internal/jaegertest"
	"github.com/go-ect/ect/otelbridge"
)

// View is all that Jaeger has.
type View struct {
	jaeger *jaegertest.Jaeger
	spans  map[string]jaegertest.Span // by id
}

// clockSkew is how Jaeger begins to warn of a span that is not within its parent, as that of a
// server need not be whose client has had all that it waited for.
const clockSkew = "clock skew adjustment"

// Of returns what Jaeger has now.
func Of(t *testing.T, j *jaegertest.Jaeger) *View {
	t.Helper()
	traces, err := j.Find(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &View{j, map[string]jaegertest.Span{}}
	for _, trace := range traces {
		for _, s := range trace.Spans {
			v.spans[s.ID] = s
			for _, w := range s.Warnings {
				if !strings.HasPrefix(w, clockSkew) {
					t.Errorf("Jaeger warns of %s of %s: %q", s.Name, s.Service, w)
				}
			}
		}
	}
	if len(v.spans) == 0 {
		t.Fatal("Jaeger has no span")
	}
	return v
}

var taskID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// Printed returns the task ids that an example printed.
func Printed(output string) []string { return taskID.FindAllString(output, -1) }

// Issued returns the task ids of tokens.
func Issued(tokens []*core.Issued) (tasks []string) {
	for _, i := range tokens {
		tasks = append(tasks, i.TaskID().String())
	}
	return tasks
}

// Found returns for how many tasks a search by the id finds a trace.
func (v *View) Found(t *testing.T, tasks []string) (found int) {
	t.Helper()
	for _, task := range tasks {
		traces, err := v.jaeger.Find(t.Context(), "", map[string]string{string(otelbridge.AttrTaskID): task})
		if err != nil {
			t.Fatal(err)
		}
		if len(traces) > 0 {
			found++
		}
	}
	return found
}

// OneTrace checks that the tokens of the first one's workflow are all in one trace.
func (v *View) OneTrace(t *testing.T, tokens []*core.Issued) {
	t.Helper()
	trace := ""
	for _, i := range tokens {
		if i.Workflow() != tokens[0].Workflow() {
			continue
		}
		s, ok := v.span(i.TaskID().String())
		if !ok || trace != "" && s.TraceID != trace {
			t.Errorf("%s %s of %s is in trace %q, not in %q", i.Kind(), i.TaskID(), i.Issuer(), s.TraceID, trace)
		}
		trace = s.TraceID
	}
}

// Claims returns which claims of tokens Jaeger has, in spans and events, by their attributes.
func (v *View) Claims() (all []attribute.Key) {
	for _, a := range otelbridge.Attributes() {
		if a.Claim != 0 && v.any(string(a.Key)) {
			all = append(all, a.Key)
		}
	}
	return all
}

// any tells whether some span or event has an attribute.
func (v *View) any(key string) bool {
	for _, s := range v.spans {
		if _, ok := s.Tags[key]; ok || slices.ContainsFunc(s.Events, func(e jaegertest.Event) bool { _, ok := e.Fields[key]; return ok }) {
			return true
		}
	}
	return false
}

// Named returns the spans of a name, in no order.
func (v *View) Named(name string) (all []jaegertest.Span) {
	for _, s := range v.spans {
		if s.Name == name {
			all = append(all, s)
		}
	}
	return all
}

// FanIns checks that each token with two predecessors or more has an event for each, and leads
// to the span of each, and returns how many such tokens there are. Where tokens do not carry
// their span contexts, nothing leads to a call that came without its trace.
func (v *View) FanIns(t *testing.T, tokens []*core.Issued, carried bool) (n int) {
	t.Helper()
	for _, i := range tokens {
		var preds []string
		for task := range i.Predecessors() {
			preds = append(preds, task.String())
		}
		if len(preds) < 2 {
			continue
		}
		n++
		s, ok := v.span(i.TaskID().String())
		if !ok {
			t.Errorf("no span stands for %s %s", i.Kind(), i.TaskID())
			continue
		}
		if withheld := s.Tags[string(otelbridge.AttrPredecessorWithheld)]; withheld != "0" {
			t.Errorf("%s of %s withholds %q predecessors", s.Name, s.Service, withheld)
		}
		for _, p := range preds {
			if !slices.ContainsFunc(s.Events, func(e jaegertest.Event) bool {
				return e.Name == otelbridge.EventPredecessor && e.Fields[string(otelbridge.AttrTaskID)] == p
			}) {
				t.Errorf("%s of %s has no event for predecessor %s: %+v", s.Name, s.Service, p, s.Events)
			}
			strange := !carried && s.Parent() == "" && slices.ContainsFunc(tokens, func(o *core.Issued) bool {
				return o.TaskID().String() == p && o.Kind() == core.KindDispatch && o.Issuer() != i.Issuer()
			})
			if !strange && !v.leads(s, p, tokens) {
				t.Errorf("%s of %s does not lead to predecessor %s: %+v", s.Name, s.Service, p, s.References)
			}
		}
	}
	return n
}

// leads tells whether a span leads to a token that it comes after: it is in the span itself, or
// in its parent or one that it links to, or it answered a dispatch that is there.
func (v *View) leads(s jaegertest.Span, p string, tokens []*core.Issued) bool {
	if sent(s, p) {
		return true
	}
	at := []string{p}
	for _, i := range tokens {
		if i.TaskID().String() != p || i.Kind() != core.KindTask {
			continue
		}
		for task := range i.Predecessors() {
			at = append(at, task.String())
		}
	}
	return slices.ContainsFunc(s.References, func(r jaegertest.Reference) bool {
		to, ok := v.spans[r.SpanID]
		return ok && to.TraceID == r.TraceID && slices.ContainsFunc(at, func(task string) bool { return has(to, task) })
	})
}

// sent tells whether a token was issued in a span, and the span stands for another.
func sent(s jaegertest.Span, task string) bool {
	return slices.ContainsFunc(s.Events, func(e jaegertest.Event) bool {
		return (e.Name == otelbridge.EventDispatch || e.Name == otelbridge.EventStep) && e.Fields[string(otelbridge.AttrTaskID)] == task
	})
}

// span returns the span that a task is in: that which stands for it, or has an event of it.
func (v *View) span(task string) (jaegertest.Span, bool) {
	for _, s := range v.spans {
		if has(s, task) && !slices.ContainsFunc(s.Events, func(e jaegertest.Event) bool {
			return e.Name == otelbridge.EventAnswer && e.Fields[string(otelbridge.AttrTaskID)] == task
		}) {
			return s, true
		}
	}
	return jaegertest.Span{}, false
}

// has tells whether a token is in a span, and not only named as what came before.
func has(s jaegertest.Span, task string) bool {
	return s.Tags[string(otelbridge.AttrTaskID)] == task || slices.ContainsFunc(s.Events, func(e jaegertest.Event) bool {
		return e.Name != otelbridge.EventPredecessor && e.Fields[string(otelbridge.AttrTaskID)] == task
	})
}
