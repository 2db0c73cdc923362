// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/otelbridge"
)

// sources parses what is no test in this package.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			if files[name], err = parser.ParseFile(token.NewFileSet(), name, nil, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	return files
}

// TestAttributesAreClassified reads the constants in the source: each is in Attributes, once
// and under one kind, and nothing else is.
func TestAttributesAreClassified(t *testing.T) {
	constants := map[attribute.Key]string{}
	ast.Inspect(sources(t)["attribute.go"], func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, "Attr") {
			return true
		}
		literal, ok := v.Values[0].(*ast.BasicLit)
		if !ok {
			t.Fatalf("%s is no literal", v.Names[0])
		}
		key, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := constants[attribute.Key(key)]; ok {
			t.Errorf("%s and %s are both %q", v.Names[0], other, key)
		}
		constants[attribute.Key(key)] = v.Names[0].Name
		return true
	})
	if len(constants) == 0 {
		t.Fatal("no constants found")
	}

	classified, claims := map[attribute.Key]bool{}, map[otelbridge.Claim]bool{}
	for _, a := range otelbridge.Attributes() {
		if constants[a.Key] == "" {
			t.Errorf("%q is classified and no constant", a.Key)
		}
		if classified[a.Key] {
			t.Errorf("%q is classified twice", a.Key)
		}
		classified[a.Key] = true
		count := a.Claim == 0 && a.Values == nil
		switch {
		case a.Claim != 0 && a.Values != nil:
			t.Errorf("%q is of a claim and has closed values", a.Key)
		case a.Values != nil && len(a.Values) == 0:
			t.Errorf("%q has no value", a.Key)
		case count != slices.Contains([]attribute.Key{otelbridge.AttrPredecessorCount, otelbridge.AttrPredecessorWithheld}, a.Key):
			t.Errorf("%q: it is a count: %t", a.Key, count)
		}
		if a.Claim != 0 {
			if claims[a.Claim] {
				t.Errorf("claim %s has two attributes", a.Claim)
			}
			claims[a.Claim] = true
		}
	}
	for key, name := range constants {
		if !classified[key] {
			t.Errorf("%s is not classified: say in Attributes whether it is of a claim, has closed values, or is a count", name)
		}
	}
	for _, c := range otelbridge.Claims() {
		if !claims[c.Claim] {
			t.Errorf("claim %s has no attribute", c.Claim)
		}
	}
}

// TestAttributesAreConstants holds that no attribute is made of a literal elsewhere, where
// the test above would not see it.
func TestAttributesAreConstants(t *testing.T) {
	for name, file := range sources(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			fun, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := fun.X.(*ast.Ident); !ok || pkg.Name != "attribute" {
				return true
			}
			if literal, ok := call.Args[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
				t.Errorf("%s: attribute.%s(%s): name it in attribute.go and classify it", name, fun.Sel.Name, literal.Value)
			}
			return true
		})
	}
}

// TestClosedValues holds the closed sets against the types that they are of, over all that
// those types can hold.
func TestClosedValues(t *testing.T) {
	values := map[attribute.Key][]string{}
	for _, a := range otelbridge.Attributes() {
		values[a.Key] = a.Values
		seen := map[string]bool{}
		for _, v := range a.Values {
			if v == "" || seen[v] {
				t.Errorf("%q has the value %q, which is empty or comes twice", a.Key, v)
			}
			seen[v] = true
		}
	}
	want := func(key attribute.Key, all ...string) {
		t.Helper()
		for _, v := range all {
			if !slices.Contains(values[key], v) {
				t.Errorf("%q may have the value %q, which is not in the list", key, v)
			}
		}
		for _, v := range values[key] {
			if !slices.Contains(all, v) {
				t.Errorf("%q has the value %q in the list, which it may not have", key, v)
			}
		}
	}
	var levels, bindings, outcomes, kinds, transports, codes []string
	for i := range 256 {
		levels = append(levels, core.Level(i).String())
		bindings = append(bindings, core.Binding(i).String())
		outcomes = append(outcomes, core.Outcome(i).String())
		transports = append(transports, core.Transport(i).String())
		if k := core.Kind(i).String(); k != core.Kind(0).String() { // every token has a kind
			kinds = append(kinds, k)
		}
		if c := core.Code(i); c.Class() != 0 {
			codes = append(codes, c.String())
		}
	}
	want(otelbridge.AttrLevel, levels...)
	want(otelbridge.AttrBinding, bindings...)
	want(otelbridge.AttrOutcome, outcomes...)
	want(otelbridge.AttrKind, kinds...)
	want(otelbridge.AttrTransport, transports...)
	want(otelbridge.AttrErrorType, codes...)
	want(otelbridge.AttrCode, codes...)
	want(otelbridge.AttrResult, append(codes, otelbridge.ResultAccepted)...)
	want(otelbridge.AttrPolicyDecision, "approved", "rejected", "pending_human_review")

	// What is returned is the caller's.
	clear(otelbridge.Attributes()[0:1])
	for i, a := range otelbridge.Attributes() {
		if a.Key == "" {
			t.Errorf("attribute %d was changed by a caller", i)
		}
		clear(a.Values)
	}
	for _, a := range otelbridge.Attributes() {
		if slices.Contains(a.Values, "") {
			t.Errorf("the values of %q were changed by a caller", a.Key)
		}
	}
}
