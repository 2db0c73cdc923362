// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest_test

import (
	"context"
	"slices"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

// TestBadMessages takes every message of the kit to a service by way of a carrier, as one
// adapter does: it gets the code that the table says, which observers are told of, and the
// last message of each scene is accepted.
func TestBadMessages(t *testing.T) {
	for _, m := range ecttest.BadMessages() {
		t.Run(m.Name, func(t *testing.T) {
			got := goThrough(t, m)
			if m.Code == 0 || !slices.Contains(got, m.Code) {
				t.Errorf("the codes are %v, and %v is not among them", got, m.Code)
			}
			if last := got[len(got)-1]; last != 0 && last != core.CodeReplayed {
				t.Errorf("the scene ends with %v", last)
			}
		})
	}
}

func TestGoodMessages(t *testing.T) {
	for _, m := range ecttest.GoodMessages() {
		t.Run(m.Name, func(t *testing.T) {
			for _, c := range goThrough(t, m) {
				if m.Code != 0 || c != 0 {
					t.Errorf("a good message is refused with %v", c)
				}
			}
		})
	}
}

// goThrough sends the messages of a scene and returns the codes that came of them.
func goThrough(t *testing.T, m ecttest.Message) (codes []core.Code) {
	t.Helper()
	contents := ecttest.Contents{Sent: core.HashOf([]byte("sent")), Other: core.HashOf(nil)}
	var told []core.Code
	s := m.Stage(t, contents, core.WithObserver(core.Observer{
		Rejected: func(_ context.Context, err *core.Error, _ core.VerifyInfo) { told = append(told, err.Code) },
	}))
	for a := range s.Attempts() {
		told = nil
		in := core.ExtractInput{Action: "work", Content: contents.Sent}
		if a.Other {
			in.Content = contents.Other
		}
		ctx, task, err := core.Extract(t.Context(), s.Service, core.MapCarrier{core.CarrierTokens: a.Values}, in)
		codes = append(codes, core.CodeOf(err))
		if err != nil {
			if core.CodeOf(err) != a.Code || !slices.Equal(told, []core.Code{a.Code}) {
				t.Fatalf("attempt %d = %v, and observers were told of %v; want code %v", len(codes), err, told, a.Code)
			}
			continue
		}
		if a.Code != 0 {
			t.Fatalf("attempt %d is accepted; want code %v", len(codes), a.Code)
		}
		answer, err := task.Finish(ctx, core.Completion{Keep: true})
		if err != nil {
			t.Fatalf("attempt %d: Finish: %v", len(codes), err)
		}
		if want := taskIDs(t, a.Heads); !slices.Equal(answer.Issued.Claims().Pred, want) {
			t.Errorf("attempt %d: the task comes after %v, want %v", len(codes), answer.Issued.Claims().Pred, want)
		}
	}
	return codes
}

func taskIDs(t *testing.T, tokens []string) (ids []core.UUID) {
	t.Helper()
	for _, text := range tokens {
		u, err := core.ParseWithoutVerification(text)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, u.ClaimsWithoutVerification().TaskID)
	}
	return ids
}
