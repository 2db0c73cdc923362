// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/otelbridge"
)

// BenchmarkShow gives what a claim costs in every form. The baseline is the HMAC alone, on a
// state that is keyed already, and beside it what a pseudonym would cost if it keyed one.
func BenchmarkShow(b *testing.B) {
	of := otelbridge.Token{
		TaskID: uuid(b, taskID), Workflow: workflow(b, workflowA), IssuedAt: day(2026, 9, 21),
	}
	text := []byte("ect-pseudonym/v1\njti\n" + workflowA + "\n" + taskID + "\n")
	b.Run("baseline/hmac", func(b *testing.B) {
		mac := hmac.New(sha256.New, secret(0))
		sum := make([]byte, 0, sha256.Size)
		b.ReportAllocs()
		for b.Loop() {
			mac.Reset()
			mac.Write(text)
			sum = mac.Sum(sum[:0])
		}
	})
	b.Run("baseline/hmac-new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			mac := hmac.New(sha256.New, secret(0))
			mac.Write(text)
			_ = hex.EncodeToString(mac.Sum(nil))
		}
	})
	h := core.Hash{Sum: sha256.Sum256(nil), Present: true}
	for _, c := range otelbridge.Claims() {
		for _, how := range []otelbridge.Disclosure{otelbridge.Omit, otelbridge.Plain, otelbridge.Pseudonym} {
			var p otelbridge.Policy
			reflect.ValueOf(&p).Elem().FieldByName(c.Field).Set(reflect.ValueOf(how))
			if how == otelbridge.Pseudonym {
				p.Keys = keys()
			}
			d := disclosing(b, p)
			b.Run(c.Claim.String()+"/"+how.String(), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					d.Show(c.Claim, of, "spiffe://example.org/billing", h)
				}
			})
		}
	}
	b.Run("jti/pseudonym/parallel", func(b *testing.B) {
		d := disclosing(b, otelbridge.ShowPseudonyms(keys()...))
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				d.Show(otelbridge.ClaimTask, of, "", noHash)
			}
		})
	})
}
