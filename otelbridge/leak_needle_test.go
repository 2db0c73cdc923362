// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/otelbridge"
)

// needle is a text that comes from a token. The claim is 0 where no policy shows it.
type needle struct {
	claim otelbridge.Claim
	what  string
	text  string
}

// annotation is the member of `ect_ext` that the agent adds.
const annotation = "com.example.model"

// needles returns whatever could be told of a token: what claims say, in the forms that
// somebody could give it, and the token itself.
func needles(t *testing.T, token string) (all []needle) {
	t.Helper()
	u, err := core.ParseWithoutVerification(token)
	if err != nil {
		t.Fatal(err)
	}
	add := func(c otelbridge.Claim, what string, texts ...string) {
		for _, text := range texts {
			if text = strings.ToLower(text); text != "" {
				all = append(all, needle{c, what, text})
			}
		}
	}
	c, digest := u.ClaimsWithoutVerification(), u.Digest()
	add(otelbridge.ClaimTask, "jti", forms(c.TaskID[:])...)
	add(otelbridge.ClaimTask, "jti", c.TaskID.String())
	if c.Workflow.Present {
		add(otelbridge.ClaimWorkflow, "wid", forms(c.Workflow.ID[:])...)
		add(otelbridge.ClaimWorkflow, "wid", c.Workflow.String())
	}
	add(otelbridge.ClaimAction, "exec_act", c.Action)
	add(otelbridge.ClaimIssuer, "iss", u.ClaimedIssuer())
	add(otelbridge.ClaimAudience, "aud", c.Audience...)
	if c.InpHash.Present {
		add(otelbridge.ClaimInputHash, "inp_hash", forms(c.InpHash.Sum[:])...)
	}
	if c.OutHash.Present {
		add(otelbridge.ClaimOutputHash, "out_hash", forms(c.OutHash.Sum[:])...)
	}
	if p := c.Ext.Policy; p != nil {
		add(otelbridge.ClaimCheckpoint, "pol", p.Policy)
		add(0, "pol_enforcer", p.Enforcer)
	}
	if m, ok := c.Ext.Member(annotation); ok {
		add(0, annotation, strings.Trim(string(m), `"`))
	}
	short := digest.Short()
	add(0, "digest", forms(digest[:])...)
	add(0, "digest", forms(short[:])...)
	add(0, "kid", u.KeyID())
	_, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	add(0, "token", payload, signature)
	return all
}

// forms are the ways to write bytes that are in use.
func forms(b []byte) []string {
	return []string{hex.EncodeToString(b), base64.RawURLEncoding.EncodeToString(b), base64.RawStdEncoding.EncodeToString(b)}
}

// said is a text of a token that may stand at a place.
type said struct{ text, place string }

// telltales returns where a trace has what comes from tokens and is not to be told, and which of
// those that may be told are not there. mine are the texts of the trace's own tokens, others
// those of the other workflow.
func telltales(in spots, mine, others []needle, p otelbridge.Policy, allowed map[said]string) (wrong []string, used map[said]bool) {
	used = map[said]bool{}
	telling := map[string]needle{}
	for _, n := range mine {
		if formOf(p, n.claim) != otelbridge.Plain {
			telling[n.text] = n
		}
	}
	for _, n := range others {
		if p.Links != otelbridge.LinksAny || formOf(p, n.claim) != otelbridge.Plain {
			telling[n.text] = n
		}
	}
	for value, places := range in {
		for place := range places {
			hay := strings.ToLower(place + "\n" + value)
			for text, n := range telling {
				switch {
				case !strings.Contains(hay, text):
				case allowed[said{text, place}] != "":
					used[said{text, place}] = true
				default:
					wrong = append(wrong, fmt.Sprintf("%s, %q, is told by %.80q at %s", n.what, text, value, place))
				}
			}
		}
	}
	slices.Sort(wrong)
	return wrong, used
}

// TestNeedles plants what comes from a token, wherever that can be.
func TestNeedles(t *testing.T) {
	mine := []needle{{otelbridge.ClaimTask, "jti", "task-a"}, {otelbridge.ClaimAction, "exec_act", "assess"}}
	others := []needle{{otelbridge.ClaimTask, "jti", "task-b"}, {otelbridge.ClaimAction, "exec_act", "assess"}}
	allowed := map[said]string{{"assess", "span.name"}: "a reason"}
	for _, tt := range []struct {
		name         string
		value, place string
		policy       otelbridge.Policy
		want         string // what is told, "" for nothing
	}{
		{"nothing", "x", "span.name", otelbridge.ShowTasks(), ""},
		{"one's own task", "task-a", "span[k]", otelbridge.ShowTasks(), ""},
		{"one's own task, shown to nobody", "task-a", "span[k]", otelbridge.ShowNothing(), "jti"},
		{"the other's task", "task-b", "span[k]", otelbridge.ShowTasks(), "jti"},
		{"the other's task, where everything is shown", "task-b", "span[k]", otelbridge.ShowEverything(), ""},
		{"within a value", "urn:TASK-B:1", "resource[k]", otelbridge.ShowTasks(), "jti"},
		{"in a name of an attribute", "x", "event[ect.task-b]", otelbridge.ShowTasks(), "jti"},
		{"one's own action", "to assess", "event[k]", otelbridge.ShowTasks(), "exec_act"},
		{"one's own action, as is listed", "assess", "span.name", otelbridge.ShowTasks(), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := spots{}
			in.add(tt.value, tt.place)
			wrong, used := telltales(in, mine, others, tt.policy, allowed)
			switch {
			case tt.want == "" && len(wrong) != 0:
				t.Errorf("finds %q", wrong)
			case tt.want != "" && (len(wrong) != 1 || !strings.HasPrefix(wrong[0], tt.want)):
				t.Errorf("finds %q, want %s", wrong, tt.want)
			}
			if listed := tt.place == "span.name" && tt.value == "assess"; len(used) != 0 != listed {
				t.Errorf("%d of the list are used, want one: %t", len(used), listed)
			}
		})
	}
}
