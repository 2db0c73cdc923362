// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-ect/ect/otelbridge"
)

// eventNames returns the events that attribute.go names.
func eventNames(t *testing.T) (all []string) {
	t.Helper()
	ast.Inspect(sources(t)["attribute.go"], func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, "Event") {
			return true
		}
		literal, ok := v.Values[0].(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			t.Fatalf("%s is no literal", v.Names[0])
		}
		name, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, name)
		return true
	})
	if len(all) == 0 {
		t.Fatal("no events found")
	}
	return all
}

// keysOf returns the keys that a place names: of an attribute, and of maps within it.
func keysOf(place string) (all []string) {
	for part := range strings.SplitSeq(place, "[") {
		if key, ok := strings.CutSuffix(part, "]"); ok {
			all = append(all, key)
		}
	}
	return all
}

var (
	aPseudonym = regexp.MustCompile(`^[A-Za-z0-9-]{1,32}\.[0-9a-f]{32}$`)
	aCount     = regexp.MustCompile(`^[0-9]{1,3}$`)
)

// classify returns what the bridge has written that nobody classified, or that is not as its
// class says under a policy.
func classify(in spots, events []string, p otelbridge.Policy) (wrong []string) {
	info := map[string]otelbridge.AttributeInfo{}
	for _, a := range otelbridge.Attributes() {
		info[string(a.Key)] = a
	}
	for value, places := range in {
		for place := range places {
			if place == "event.name" && strings.HasPrefix(value, "ect.") && !slices.Contains(events, value) {
				wrong = append(wrong, fmt.Sprintf("the event %q is in no list: name it in attribute.go", value))
			}
			for _, key := range keysOf(place) {
				if why := misfit(info, key, value, p); why != "" {
					wrong = append(wrong, fmt.Sprintf("%s %s", place, why))
				}
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// misfit says how a value is not what the class of its key is, "" if it is.
func misfit(info map[string]otelbridge.AttributeInfo, key, value string, p otelbridge.Policy) string {
	if !strings.HasPrefix(key, "ect.") {
		return ""
	}
	a, ok := info[key]
	switch {
	case !ok:
		return "is in no list: name its key in attribute.go, and say in Attributes there what it is of"
	case a.Claim != 0:
		switch form := formOf(p, a.Claim); {
		case form == otelbridge.Omit:
			return fmt.Sprintf("is %q, and the policy omits it", value)
		case form == otelbridge.Pseudonym && !aPseudonym.MatchString(value):
			return fmt.Sprintf("is %q, which is no pseudonym", value)
		}
	case a.Values == nil && !aCount.MatchString(value):
		return fmt.Sprintf("is %q, which is no count", value)
	case a.Values != nil && !slices.Contains(a.Values, value):
		return fmt.Sprintf("is %q, which is none of its values", value)
	}
	return ""
}

// formOf returns how a policy shows a claim.
func formOf(p otelbridge.Policy, c otelbridge.Claim) otelbridge.Disclosure {
	for _, known := range otelbridge.Claims() {
		if known.Claim == c {
			return known.Shown(&p)
		}
	}
	return otelbridge.Omit
}

// unseen returns which attributes and events of the bridge a trace does not have. Labels of
// metrics are in none.
func unseen(t *testing.T, in spots) (missing []string) {
	t.Helper()
	seen := map[string]bool{}
	for value, places := range in {
		for place := range places {
			if place == "event.name" {
				seen[value] = true
			}
			for _, key := range keysOf(place) {
				seen[key] = true
			}
		}
	}
	for _, a := range otelbridge.Attributes() {
		if label := a.Key == otelbridge.AttrTransport || a.Key == otelbridge.AttrCode; !label && !seen[string(a.Key)] {
			missing = append(missing, string(a.Key))
		}
	}
	for _, name := range eventNames(t) {
		if !seen[name] {
			missing = append(missing, name)
		}
	}
	return missing
}

// withholds returns how many numbers other than 0 there are of what a workflow's spans withhold.
func withholds(s *submission) (n int) {
	for value, places := range s.stored {
		if value != "0" && places["span["+string(otelbridge.AttrPredecessorWithheld)+"]"] {
			n++
		}
	}
	return n
}

// TestClassify plants what nobody classified.
func TestClassify(t *testing.T) {
	keyed := otelbridge.ShowPseudonyms(keys()...)
	for _, tt := range []struct {
		name, place, value string
		policy             otelbridge.Policy
		want               string // a part of the one complaint, "" for none
	}{
		{"an attribute of others", "span[http.route]", "/x", otelbridge.ShowNothing(), ""},
		{"a key that is in no list", "span[ect.new]", "1", otelbridge.ShowEverything(), "Attributes"},
		{"one of an event", "event[ect.new]", "1", otelbridge.ShowEverything(), "Attributes"},
		{"one of a resource", "resource[ect.new]", "1", otelbridge.ShowEverything(), "Attributes"},
		{"one within a map", "span[a][ect.new]", "1", otelbridge.ShowEverything(), "Attributes"},
		{"an event that is in no list", "event.name", "ect.new", otelbridge.ShowEverything(), "attribute.go"},
		{"an event that is", "event.name", "ect.known", otelbridge.ShowEverything(), ""},
		{"an event of others", "event.name", "exception", otelbridge.ShowEverything(), ""},
		{"a claim that is shown", "span[ect.action]", "assess", otelbridge.ShowEverything(), ""},
		{"a claim that is omitted", "span[ect.action]", "assess", otelbridge.ShowTasks(), "omits"},
		{"a claim that is no pseudonym", "span[ect.action]", "assess", keyed, "pseudonym"},
		{"a claim that is one", "span[ect.action]", "2026-q4.00112233445566778899aabbccddeeff", keyed, ""},
		{"a value of a closed set", "span[ect.level]", "L2", otelbridge.ShowNothing(), ""},
		{"a value that is none of it", "span[ect.level]", "L2 of x", otelbridge.ShowNothing(), "values"},
		{"a count", "span[ect.predecessor.count]", "12", otelbridge.ShowNothing(), ""},
		{"a count that is none", "span[ect.predecessor.count]", "1234", otelbridge.ShowNothing(), "count"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := spots{}
			in.add(tt.value, tt.place)
			wrong := classify(in, []string{"ect.known"}, tt.policy)
			switch {
			case tt.want == "" && len(wrong) != 0:
				t.Errorf("complains: %q", wrong)
			case tt.want != "" && (len(wrong) != 1 || !strings.Contains(wrong[0], tt.want)):
				t.Errorf("complains %q, want %q", wrong, tt.want)
			}
		})
	}
}

// TestLists holds that nothing of a claim can be listed as what two workflows have in common.
func TestLists(t *testing.T) {
	info := map[string]otelbridge.AttributeInfo{}
	for _, a := range otelbridge.Attributes() {
		info[string(a.Key)] = a
	}
	for _, p := range []otelbridge.Policy{otelbridge.ShowNothing(), otelbridge.ShowTasks()} {
		for place, why := range common(p) {
			if why == "" {
				t.Errorf("%s is listed without a reason", place)
			}
			for _, key := range keysOf(place) {
				if a, ok := info[key]; strings.HasPrefix(key, "ect.") && (!ok || a.Claim != 0) {
					t.Errorf("%s is listed, and is of a claim or in no list", place)
				}
			}
		}
	}
}
