// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package jaegertest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/go-ect/ect/internal/jaegertest"
)

// start is when the first of the spans begins.
var start = time.Date(2024, 2, 29, 12, 0, 0, 123456000, time.UTC)

func traceID(n int) string { return fmt.Sprintf("%016x%016x", n, n) }
func spanID(n int) string  { return fmt.Sprintf("%016x", n) }

// A part changes a span in the JSON form of OTLP.
type part func(span map[string]any)

// span is a span in the JSON form of OTLP. It begins n seconds after start, and lasts so
// long that those with a greater n are within it.
func span(trace, n int, name string, parts ...part) any {
	s := map[string]any{
		"traceId": traceID(trace), "spanId": spanID(n), "name": name, "kind": 2,
		"startTimeUnixNano": nano(n, 0), "endTimeUnixNano": nano(n, lasts(n)),
	}
	for _, p := range parts {
		p(s)
	}
	return s
}

func lasts(n int) time.Duration { return time.Minute - time.Duration(2*n)*time.Second }

func nano(n int, later time.Duration) string {
	return strconv.FormatInt(start.Add(time.Duration(n)*time.Second+later).UnixNano(), 10)
}

// attributes are of strings, and of what OTLP has values for.
func attributes(pairs ...any) []any {
	var list []any
	for i := 0; i < len(pairs); i += 2 {
		var value any
		switch v := pairs[i+1].(type) {
		case string:
			value = map[string]any{"stringValue": v}
		case int:
			value = map[string]any{"intValue": strconv.Itoa(v)}
		case float64:
			value = map[string]any{"doubleValue": v}
		case bool:
			value = map[string]any{"boolValue": v}
		case []byte:
			value = map[string]any{"bytesValue": v}
		case []string:
			var values []any
			for _, s := range v {
				values = append(values, map[string]any{"stringValue": s})
			}
			value = map[string]any{"arrayValue": map[string]any{"values": values}}
		}
		list = append(list, map[string]any{"key": pairs[i], "value": value})
	}
	return list
}

func with(pairs ...any) part {
	return func(s map[string]any) { s["attributes"] = attributes(pairs...) }
}

func childOf(n int) part {
	return func(s map[string]any) { s["parentSpanId"] = spanID(n) }
}

// event adds one that happens 100 ms after the span began.
func event(n int, name string, pairs ...any) part {
	return func(s map[string]any) {
		events, _ := s["events"].([]any)
		s["events"] = append(events, map[string]any{
			"timeUnixNano": nano(n, 100*time.Millisecond), "name": name, "attributes": attributes(pairs...),
		})
	}
}

func link(trace, span int, state string, pairs ...any) part {
	return func(s map[string]any) {
		links, _ := s["links"].([]any)
		s["links"] = append(links, map[string]any{
			"traceId": traceID(trace), "spanId": spanID(span), "traceState": state, "attributes": attributes(pairs...),
		})
	}
}

func failed(message string) part {
	return func(s map[string]any) { s["status"] = map[string]any{"code": 2, "message": message} }
}

func succeeded() part {
	return func(s map[string]any) { s["status"] = map[string]any{"code": 1} }
}

func state(text string) part {
	return func(s map[string]any) { s["traceState"] = text }
}

// export sends the spans of services to Jaeger, over HTTP as JSON.
func export(t *testing.T, j *jaegertest.Jaeger, spans map[string][]any) {
	t.Helper()
	var resources []any
	for service, list := range spans {
		resources = append(resources, map[string]any{
			"resource": map[string]any{"attributes": attributes("service.name", service, "resource.tag", "r-"+service)},
			"scopeSpans": []any{map[string]any{
				"scope": map[string]any{"name": "a/scope", "version": "v1", "attributes": attributes("scope.tag", "s-"+service)},
				"spans": list,
			}},
		})
	}
	body, err := json.Marshal(map[string]any{"resourceSpans": resources})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, j.OTLPHTTP()+"/v1/traces", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || string(answer) != `{"partialSuccess":{}}` {
		t.Fatalf("export: status %d, %s, %v", resp.StatusCode, answer, err)
	}
}
