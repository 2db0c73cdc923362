// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest_test

import (
	"slices"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
)

// TestBadAnswers brings every answer of the kit back to a dispatch that went by way of a
// carrier. The task goes on from the dispatch, as if no answer had come.
func TestBadAnswers(t *testing.T) {
	for _, a := range ecttest.BadAnswers() {
		t.Run(a.Name, func(t *testing.T) {
			if a.Code == 0 {
				t.Error("it has no code")
			}
			answered(t, a)
		})
	}
}

func TestGoodAnswers(t *testing.T) {
	for _, a := range ecttest.GoodAnswers() {
		t.Run(a.Name, func(t *testing.T) {
			if a.Code != 0 {
				t.Errorf("it has the code %v", a.Code)
			}
			answered(t, a)
		})
	}
}

// answered makes two calls, of which the second is answered as the table says.
func answered(t *testing.T, a ecttest.Answer) {
	t.Helper()
	d := ecttest.NewDomain()
	from, to := d.Agent(t, "from"), d.Agent(t, "to")
	service := d.Service(t, from, core.Audience{ID: to.Identity, Tokens: true, Hashes: true})
	peer := a.Peer(d, from, to)
	got, gives := core.HashOf([]byte("question")), core.HashOf([]byte("reply"))
	ctx, task, err := service.StartTask(t.Context(), "ask")
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []core.Code{0, a.Code} {
		c := core.MapCarrier{}
		dispatch, err := core.Inject(ctx, c, to.Identity, core.DispatchInput{OutHash: got})
		if err != nil {
			t.Fatal(err)
		}
		values := peer.Answer(t, c[core.CarrierTokens][0], ecttest.Exchanged{Got: got, Gives: gives})
		r, err := dispatch.Verify(ctx, core.Presented{Values: values, Content: gives})
		code, last := core.CodeOf(err), dispatch.Issued().Claims().TaskID
		if err == nil {
			head := r.Heads()[0]
			last = head.Claims().TaskID
			if inp := head.Claims().InpHash; inp.Present && inp != got {
				code = core.CodeBody // adapters hold it against what they sent
			}
		}
		if code != want {
			t.Fatalf("the answer to call %d = %v, want code %v", n, err, want)
		}
		if n == 0 || code == core.CodeBody {
			continue
		}
		end, err := task.Finish(ctx, core.Completion{Keep: true})
		if err != nil {
			t.Fatal(err)
		}
		if pred := end.Issued.Claims().Pred; !slices.Equal(pred, []core.UUID{last}) {
			t.Errorf("the task comes after %v, want %v alone", pred, last)
		}
	}
}
