// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// spots has every value of some traces, as text whatever its type, and the places where each
// stands: span[key] is an attribute of a span, span.name its name, and so for event, link,
// resource, scope and process.
type spots map[string]map[string]bool

func (s spots) add(value, place string) {
	if s[value] == nil {
		s[value] = map[string]bool{}
	}
	s[value][place] = true
}

// stages are the members of OTLP, and of what Jaeger answers, below which a place is named
// anew. Both forms of one trace name a place alike.
var stages = map[string]string{
	"resource": "resource", "scope": "scope", "spans": "span",
	"events": "event", "logs": "event", "links": "link", "references": "link", "processes": "process",
}

// moments are the places of times and of how long something took. They are not compared: two
// workflows that run at once have some in common by chance, and a time is nobody's.
var moments = []string{
	"span.startTimeUnixNano", "span.endTimeUnixNano", "event.timeUnixNano",
	"span.startTime", "span.duration", "event.timestamp",
}

// walk adds whatever stands in a JSON text.
func (s spots) walk(text []byte) error {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	s.value("", v)
	return nil
}

func (s spots) value(place string, v any) {
	switch v := v.(type) {
	case nil:
	case []any:
		for _, e := range v {
			s.value(place, e)
		}
	case map[string]any:
		s.object(place, v)
	default:
		if !slices.Contains(moments, place) {
			s.add(fmt.Sprint(v), place)
		}
	}
}

func (s spots) object(place string, o map[string]any) {
	if key, ok := o["key"].(string); ok && o["value"] != nil {
		for _, list := range []string{".attributes", ".tags", ".fields"} {
			place = strings.TrimSuffix(place, list)
		}
		s.attribute(place+"["+key+"]", o["value"])
		return
	}
	for name, v := range o {
		switch {
		case stages[name] != "":
			s.value(stages[name], v)
		case place == "process" && isObject(v): // by a number that Jaeger gives it
			s.add(name, "process.id")
			s.value(place, v)
		default:
			s.value(strings.TrimPrefix(place+"."+name, "."), v)
		}
	}
}

// attribute adds what an attribute is, whatever OTLP calls its type.
func (s spots) attribute(place string, v any) {
	if o, ok := v.(map[string]any); ok {
		for _, e := range o {
			s.attribute(place, e)
		}
		return
	}
	s.value(place, v)
}

func isObject(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}

// shared returns the places of all values that stand in both, with one of those each: in a
// as well as in b.
func shared(a, b spots) map[string]string {
	places := map[string]string{}
	for value, in := range a {
		if b[value] == nil {
			continue
		}
		for _, places2 := range []map[string]bool{in, b[value]} {
			for p := range places2 {
				if had, ok := places[p]; !ok || value < had {
					places[p] = value
				}
			}
		}
	}
	return places
}

// compare returns what is wrong with what two traces have in common: places that are not in
// the list, and those of the list that nothing is in common at.
func compare(a, b spots, allowed map[string]string) (wrong []string) {
	places := shared(a, b)
	for _, p := range slices.Sorted(maps.Keys(places)) {
		if _, ok := allowed[p]; !ok {
			wrong = append(wrong, fmt.Sprintf("both have %.80q at %s: mend what writes it, or list the place with a reason", places[p], p))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(allowed)) {
		if _, ok := places[p]; !ok {
			wrong = append(wrong, fmt.Sprintf("nothing at %s is in common any more: take it from the list", p))
		}
	}
	return wrong
}

// planted is a small trace in the form of OTLP.
func planted(span string) string {
	return `{"result":{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"agent"}}]},
		"scopeSpans":[{"scope":{"name":"s"},"spans":[{` + span + `}]}]}]}}`
}

// TestComparison plants what a leak would look like, wherever one can be.
func TestComparison(t *testing.T) {
	base := map[string]string{"resource[service.name]": "", "scope.name": ""}
	jaeger := func(span, process string) string {
		return `{"data":[{"spans":[{"processID":"p1",` + span + `}],"processes":{"p1":{"serviceName":"agent","tags":[` + process + `]}},"warnings":null}]}`
	}
	for _, tt := range []struct {
		name, a, b string
		list       []string // beside the base
		want       string   // a part of the one complaint, "" for none
	}{
		{"nothing", planted(`"traceId":"a"`), planted(`"traceId":"b"`), nil, ""},
		{"a trace", planted(`"traceId":"a"`), planted(`"traceId":"a"`), nil, "at span.traceId"},
		{"a trace that is listed", planted(`"traceId":"a"`), planted(`"traceId":"a"`), []string{"span.traceId"}, ""},
		{"a place of the list that is not needed", planted(`"traceId":"a"`), planted(`"traceId":"b"`), []string{"span.traceId"}, "take it from the list"},
		{"a name", planted(`"name":"a"`), planted(`"name":"a"`), nil, "at span.name"},
		{"a text of an attribute", planted(`"attributes":[{"key":"k","value":{"stringValue":"v"}}]`), planted(`"attributes":[{"key":"k","value":{"stringValue":"v"}}]`), nil, "at span[k]"},
		{"a number of one", planted(`"attributes":[{"key":"k","value":{"intValue":"7"}}]`), planted(`"attributes":[{"key":"k","value":{"intValue":7}}]`), nil, "at span[k]"},
		{"a fraction of one", planted(`"attributes":[{"key":"k","value":{"doubleValue":1.5}}]`), planted(`"attributes":[{"key":"k","value":{"doubleValue":1.5}}]`), nil, "at span[k]"},
		{"a truth of one", planted(`"attributes":[{"key":"k","value":{"boolValue":true}}]`), planted(`"attributes":[{"key":"k","value":{"boolValue":true}}]`), nil, "at span[k]"},
		{"an element of a list", planted(`"attributes":[{"key":"k","value":{"arrayValue":{"values":[{"stringValue":"a"},{"stringValue":"v"}]}}}]`),
			planted(`"attributes":[{"key":"k","value":{"arrayValue":{"values":[{"stringValue":"v"}]}}}]`), nil, "at span[k]"},
		{"within a map", planted(`"attributes":[{"key":"k","value":{"kvlistValue":{"values":[{"key":"in","value":{"stringValue":"v"}}]}}}]`),
			planted(`"attributes":[{"key":"k","value":{"kvlistValue":{"values":[{"key":"in","value":{"stringValue":"v"}}]}}}]`), nil, `"v" at span[k][in]`},
		{"an attribute of an event", planted(`"events":[{"attributes":[{"key":"k","value":{"stringValue":"v"}}]}]`),
			planted(`"events":[{"attributes":[{"key":"k","value":{"stringValue":"v"}}]}]`), nil, "at event[k]"},
		{"the name of an event", planted(`"events":[{"name":"v"}]`), planted(`"events":[{"name":"v"}]`), nil, "at event.name"},
		{"a link to the other", planted(`"traceId":"a"`), planted(`"traceId":"b","links":[{"traceId":"a"}]`), []string{"span.traceId"}, "at link.traceId"},
		{"an attribute of a link", planted(`"links":[{"attributes":[{"key":"k","value":{"stringValue":"v"}}]}]`),
			planted(`"links":[{"attributes":[{"key":"k","value":{"stringValue":"v"}}]}]`), nil, "at link[k]"},
		{"the message of a status", planted(`"status":{"message":"m"}`), planted(`"status":{"message":"m"}`), nil, "at span.status.message"},
		{"a state", planted(`"traceState":"x=y"`), planted(`"traceState":"x=y"`), nil, "at span.traceState"},
		{"no time", planted(`"startTimeUnixNano":"1","endTimeUnixNano":"2"`), planted(`"startTimeUnixNano":"1","endTimeUnixNano":"2"`), nil, ""},
		{"a time as an attribute", planted(`"attributes":[{"key":"at","value":{"intValue":"1"}}]`), planted(`"startTimeUnixNano":"1","attributes":[{"key":"at","value":{"intValue":"1"}}]`), nil, "at span[at]"},
		{"one value at two places", planted(`"attributes":[{"key":"k","value":{"stringValue":"v"}}]`), planted(`"name":"v"`), []string{"span.name"}, "at span[k]"},
		{"as Jaeger has attributes", jaeger(`"tags":[{"key":"k","type":"string","value":"v"}]`, ""), jaeger(`"tags":[{"key":"k","type":"string","value":"v"}]`, ""),
			[]string{"process.id", "process.serviceName", "span.processID"}, "at span[k]"},
		{"as Jaeger has events", jaeger(`"logs":[{"timestamp":1,"fields":[{"key":"k","type":"int64","value":7}]}]`, ""), jaeger(`"logs":[{"timestamp":1,"fields":[{"key":"k","type":"int64","value":7}]}]`, ""),
			[]string{"process.id", "process.serviceName", "span.processID"}, "at event[k]"},
		{"as Jaeger has resources", jaeger(`"spanID":"a"`, `{"key":"k","type":"string","value":"v"}`), jaeger(`"spanID":"b"`, `{"key":"k","type":"string","value":"v"}`),
			[]string{"process.id", "process.serviceName", "span.processID"}, "at process[k]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			allowed := map[string]string{}
			if strings.Contains(tt.a, "resourceSpans") {
				maps.Copy(allowed, base)
			}
			for _, p := range tt.list {
				allowed[p] = ""
			}
			a, b := spots{}, spots{}
			if err := a.walk([]byte(tt.a)); err != nil {
				t.Fatal(err)
			}
			if err := b.walk([]byte(tt.b)); err != nil {
				t.Fatal(err)
			}
			wrong := compare(a, b, allowed)
			switch {
			case tt.want == "" && len(wrong) != 0:
				t.Errorf("complains: %q", wrong)
			case tt.want != "" && (len(wrong) != 1 || !strings.Contains(wrong[0], tt.want)):
				t.Errorf("complains %q, want %q", wrong, tt.want)
			}
		})
	}
}
