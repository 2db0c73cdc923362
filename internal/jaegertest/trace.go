// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package jaegertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Trace is what Jaeger shows of a trace.
type Trace struct {
	ID    string // 32 digits of lower hex
	Spans []Span // those that began earlier first
}

// A Span is what Jaeger shows of a span. Values are as text, whatever type they have: lists
// and maps as JSON, bytes as base64.
type Span struct {
	TraceID     string
	ID          string // 16 digits of lower hex
	Name        string
	Service     string
	Start       time.Time // in microseconds
	Duration    time.Duration
	Tags        map[string]string // attributes, and what Jaeger adds: span.kind, error, otel.status_code, ...
	Process     map[string]string // attributes of the resource but the name of the service
	Events      []Event           // in order
	References  []Reference       // the parent first if there is one, then links in any order
	StatusError bool
	Warnings    []string // what Jaeger found to be wrong with it
}

// An Event is an event of a span, which Jaeger calls a log.
type Event struct {
	Name   string
	At     time.Time // in microseconds
	Fields map[string]string
}

// A Reference is what Jaeger makes of a parent or a link.
type Reference struct {
	Type    string // CHILD_OF or FOLLOWS_FROM
	TraceID string
	SpanID  string
}

// Parent returns the id of the span's parent, and "" if it has none.
func (s Span) Parent() string {
	for _, r := range s.References {
		if r.Type == "CHILD_OF" {
			return r.SpanID
		}
	}
	return ""
}

// Links returns what the span links to.
func (s Span) Links() []Reference {
	return slices.DeleteFunc(slices.Clone(s.References), func(r Reference) bool { return r.Type == "CHILD_OF" })
}

// Named returns the span of that name, and whether there is one and no other of the name.
func (t Trace) Named(name string) (Span, bool) {
	var found []Span
	for _, s := range t.Spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		return Span{}, false
	}
	return found[0], true
}

// What the query API answers with: the names are Jaeger's.
type (
	shownTrace struct {
		TraceID   string                  `json:"traceID"`
		Spans     []shownSpan             `json:"spans"`
		Processes map[string]shownProcess `json:"processes"`
	}
	shownSpan struct {
		TraceID       string `json:"traceID"`
		SpanID        string `json:"spanID"`
		OperationName string `json:"operationName"`
		References    []struct {
			RefType string `json:"refType"`
			TraceID string `json:"traceID"`
			SpanID  string `json:"spanID"`
		} `json:"references"`
		StartTime int64   `json:"startTime"`
		Duration  int64   `json:"duration"`
		Tags      []field `json:"tags"`
		Logs      []struct {
			Timestamp int64   `json:"timestamp"`
			Fields    []field `json:"fields"`
		} `json:"logs"`
		ProcessID string   `json:"processID"`
		Warnings  []string `json:"warnings"`
	}
	shownProcess struct {
		ServiceName string  `json:"serviceName"`
		Tags        []field `json:"tags"`
	}
	field struct {
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
	}
)

func (t shownTrace) trace() (Trace, error) {
	out := Trace{ID: t.TraceID}
	for _, s := range t.Spans {
		span, err := s.span(t.Processes)
		if err != nil {
			return Trace{}, fmt.Errorf("span %s of trace %s: %w", s.SpanID, t.TraceID, err)
		}
		out.Spans = append(out.Spans, span)
	}
	if len(out.Spans) == 0 {
		return Trace{}, fmt.Errorf("trace %s has no span", t.TraceID)
	}
	slices.SortFunc(out.Spans, func(a, b Span) int {
		if c := a.Start.Compare(b.Start); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

func (s shownSpan) span(processes map[string]shownProcess) (Span, error) {
	process, ok := processes[s.ProcessID]
	if !ok {
		return Span{}, fmt.Errorf("there is no process %q", s.ProcessID)
	}
	out := Span{
		TraceID:  s.TraceID,
		ID:       s.SpanID,
		Name:     s.OperationName,
		Service:  process.ServiceName,
		Start:    time.UnixMicro(s.StartTime).UTC(),
		Duration: time.Duration(s.Duration) * time.Microsecond,
		Warnings: s.Warnings,
	}
	var err error
	if out.Tags, err = fields(s.Tags); err != nil {
		return Span{}, err
	}
	if out.Process, err = fields(process.Tags); err != nil {
		return Span{}, err
	}
	out.StatusError = out.Tags["otel.status_code"] == "ERROR"
	for _, l := range s.Logs {
		f, err := fields(l.Fields)
		if err != nil {
			return Span{}, err
		}
		name := f["event"]
		delete(f, "event")
		out.Events = append(out.Events, Event{name, time.UnixMicro(l.Timestamp).UTC(), f})
	}
	for _, r := range s.References {
		out.References = append(out.References, Reference{r.RefType, r.TraceID, r.SpanID})
	}
	slices.SortStableFunc(out.References, func(a, b Reference) int { return strings.Compare(a.Type, b.Type) })
	return out, nil
}

// fields returns the values as text. A key that is there twice is an error: one of its
// values would not be seen.
func fields(list []field) (map[string]string, error) {
	m := make(map[string]string, len(list))
	for _, f := range list {
		if _, ok := m[f.Key]; ok {
			return nil, fmt.Errorf("%q is there twice", f.Key)
		}
		text := string(bytes.TrimSpace(f.Value))
		if strings.HasPrefix(text, `"`) {
			if err := json.Unmarshal(f.Value, &text); err != nil {
				return nil, err
			}
		}
		m[f.Key] = text
	}
	return m, nil
}
