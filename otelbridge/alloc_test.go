// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package otelbridge_test

import (
	"crypto/sha256"
	"reflect"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/otelbridge"
)

// TestAllocations holds that a claim which is left out costs no allocation, and a pseudonym
// that of its text alone.
func TestAllocations(t *testing.T) {
	of := otelbridge.Token{
		TaskID: uuid(t, taskID), Workflow: workflow(t, workflowA), IssuedAt: day(2026, 9, 21),
	}
	h := core.Hash{Sum: sha256.Sum256(nil), Present: true}
	for _, c := range otelbridge.Claims() {
		for how, want := range map[otelbridge.Disclosure]float64{otelbridge.Omit: 0, otelbridge.Pseudonym: 1} {
			var p otelbridge.Policy
			reflect.ValueOf(&p).Elem().FieldByName(c.Field).Set(reflect.ValueOf(how))
			if how == otelbridge.Pseudonym {
				p.Keys = keys()
			}
			d := disclosing(t, p)
			if got := testing.AllocsPerRun(200, func() { d.Show(c.Claim, of, "some text", h) }); got != want {
				t.Errorf("%s, %s: %v allocations, want %v", c.Claim, how, got, want)
			}
		}
	}
}
