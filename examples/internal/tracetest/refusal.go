// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/internal/jaegertest"
	"github.com/go-ect/ect/otelbridge"
)

// refusal is a message that was refused: by whom, and the class of its code.
type refusal struct{ at, class string }

var refusedLine = regexp.MustCompile(`(?m)\s{2,}(\w+)\s{2,}\w+\s{2,}(?:ECT_)?([A-Za-z]+)\s{2,}yes$`)

// Refusals checks that Jaeger has what an example printed as refused, in the same order: each
// in a span of who refused it, as its error, with a code of the class that was printed.
func (v *View) Refusals(t *testing.T, printed string) {
	t.Helper()
	var want []refusal
	for _, m := range refusedLine.FindAllStringSubmatch(printed, -1) {
		want = append(want, refusal{m[1], strings.ToLower(m[2])})
	}
	if got := v.refused(t); len(want) == 0 || !slices.Equal(want, got) {
		t.Errorf("refused were, as was printed, %v, and to Jaeger %v", want, got)
	}
}

// refused returns the refusals in the order of their spans.
func (v *View) refused(t *testing.T) (all []refusal) {
	t.Helper()
	var refused []jaegertest.Span
	for _, s := range v.spans {
		if r := s.Tags[string(otelbridge.AttrResult)]; r != "" && r != otelbridge.ResultAccepted {
			refused = append(refused, s)
		}
	}
	slices.SortFunc(refused, func(a, b jaegertest.Span) int { return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID)) })
	for _, s := range refused {
		result := s.Tags[string(otelbridge.AttrResult)]
		code := slices.IndexFunc(core.Codes(), func(c core.Code) bool { return c.String() == result })
		if code < 0 {
			t.Errorf("the result of %s of %s is %q, which is no code", s.Name, s.Service, result)
			continue
		}
		class := core.Codes()[code].Class()
		if got := s.Tags[string(otelbridge.AttrErrorType)]; got != result {
			t.Errorf("the error of %s of %s is %q, and its result %q", s.Name, s.Service, got, result)
		}
		if got := s.Tags["otel.status_description"]; !s.StatusError || got != class.Sentence() {
			t.Errorf("%s of %s, which was refused for %s, is no error with %q but %q", s.Name, s.Service, result, class.Sentence(), got)
		}
		if s.Tags["span.kind"] != "server" {
			t.Errorf("%s of %s, which was refused, is of the kind %q", s.Name, s.Service, s.Tags["span.kind"])
		}
		all = append(all, refusal{s.Service, class.String()})
	}
	return all
}
