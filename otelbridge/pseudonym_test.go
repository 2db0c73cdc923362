// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"encoding/hex"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/otelbridge"
)

var noHash core.Hash

// vector is a pseudonym that others can hold an implementation of their own against.
// docs/correlation.md has the same.
type vector struct {
	claim            otelbridge.Claim
	value            string
	workflow, taskID string
	issued           string // RFC 3339
	want             string
}

const (
	taskID    = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	workflowA = "3f0c9c1e-8f1b-4a52-9d0e-5b7a1c2d3e4f"
	workflowB = "b7f1a5d2-0c44-4f6e-8a3b-91e2d4c6f805"
	emptyHash = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
)

// vectors were computed by another implementation, under the keys that keys returns.
var vectors = []vector{
	{otelbridge.ClaimTask, taskID, workflowA, taskID, "2026-09-21T12:00:00Z", "2026-q3.0716a036687084b06dbeb7e6bbeb904d"},
	{otelbridge.ClaimWorkflow, workflowA, workflowA, taskID, "2026-09-21T12:00:00Z", "2026-q3.a42e20bc3d2f9965d9770ce082906246"},
	{otelbridge.ClaimAction, "approve_invoice", workflowA, taskID, "2026-09-21T12:00:00Z", "2026-q3.3f780b4e47735aecf52e71d25ce3972d"},
	{otelbridge.ClaimAction, "prüfen", workflowA, taskID, "2026-09-21T12:00:00Z", "2026-q3.c0fa2bef2dbb42748be7823594011b1e"},
	{otelbridge.ClaimIssuer, "spiffe://example.org/billing", workflowA, taskID, "2026-09-21T12:00:00Z", "2026-q3.f7f7cb883377ba288dc490ae10c0197e"},
	{otelbridge.ClaimAudience, "spiffe://example.org/ledger", workflowA, taskID, "2026-09-21T12:00:00Z", "2026-q3.2507e0a383954e884d72af7ba2cb4011"},
	{otelbridge.ClaimInputHash, emptyHash, workflowA, taskID, "2026-09-21T12:00:00Z", "2026-q3.85bab7cb5d424cfb500001fc8edbe44e"},
	{otelbridge.ClaimOutputHash, emptyHash, workflowA, taskID, "2026-09-21T12:00:00Z", "2026-q3.2ee53e9e49c68a622e14347db762db08"},
	{otelbridge.ClaimCheckpoint, "spend-limit/7", workflowA, taskID, "2026-09-21T12:00:00Z", "2026-q3.30dead4e36bc5646f97d679cf9bd94ca"},
	// Another workflow, and none.
	{otelbridge.ClaimIssuer, "spiffe://example.org/billing", workflowB, taskID, "2026-09-21T12:00:00Z", "2026-q3.17bc48d9c2e7d454097cb7bc4517ca07"},
	{otelbridge.ClaimIssuer, "spiffe://example.org/billing", "", taskID, "2026-09-21T12:00:00Z", "2026-q3.adec8e426c5ff8dce679fb1dd7f89933"},
	{otelbridge.ClaimTask, taskID, "", taskID, "2026-09-21T12:00:00Z", "2026-q3.04915507520bf5b5559a84b172841cfa"},
	// Before the first epoch, at the end of it, and at the beginning of the second.
	{otelbridge.ClaimTask, taskID, workflowA, taskID, "2026-01-01T00:00:00Z", "2026-q3.0716a036687084b06dbeb7e6bbeb904d"},
	{otelbridge.ClaimTask, taskID, workflowA, taskID, "2026-09-30T23:59:59Z", "2026-q3.0716a036687084b06dbeb7e6bbeb904d"},
	{otelbridge.ClaimTask, taskID, workflowA, taskID, "2026-10-01T00:00:00Z", "2026-q4.4b3e232eb99dd6efba9355588ad8fd10"},
}

func (v vector) token(t testing.TB) otelbridge.Token {
	t.Helper()
	issued, err := time.Parse(time.RFC3339, v.issued)
	if err != nil {
		t.Fatal(err)
	}
	return otelbridge.Token{TaskID: uuid(t, v.taskID), Workflow: workflow(t, v.workflow), IssuedAt: issued}
}

func TestPseudonymVectors(t *testing.T) {
	p := otelbridge.Policy{Keys: keys()}
	claims := map[otelbridge.Claim]bool{}
	for _, v := range vectors {
		claims[v.claim] = true
		got, err := p.Pseudonyms(v.claim, v.value, v.token(t))
		if err != nil || !slices.Equal(got, []string{v.want}) {
			t.Errorf("%s %q of %s in %q at %s: %q, %v, want %q", v.claim, v.value, v.taskID, v.workflow, v.issued, got, err, v.want)
		}
	}
	for _, c := range otelbridge.Claims() {
		if !claims[c.Claim] {
			t.Errorf("no vector for %s", c.Claim)
		}
	}
}

// TestPseudonymOpenSSL computes every vector by another program, from the definition.
func TestPseudonymOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed; the pseudonyms are not computed by another program")
	}
	hmac := func(secret []byte, text string) string {
		cmd := exec.CommandContext(t.Context(), openssl, "dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:"+hex.EncodeToString(secret))
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("openssl: %v\n%s", err, out)
		}
		sum := regexp.MustCompile(`[0-9a-f]{64}`).FindString(string(out))
		if sum == "" {
			t.Fatalf("openssl printed no sum: %s", out)
		}
		return sum
	}
	for _, v := range vectors {
		scope := v.workflow
		if scope == "" {
			scope = v.taskID
		}
		epoch, _, _ := strings.Cut(v.want, ".")
		i := slices.IndexFunc(keys(), func(k otelbridge.PseudonymKey) bool { return k.Epoch == epoch })
		sum := hmac(secret(byte(32*i)), "ect-pseudonym/v1\n"+v.claim.String()+"\n"+scope+"\n"+v.value+"\n")
		if got := epoch + "." + sum[:32]; got != v.want {
			t.Errorf("%s %q: openssl says %s, want %s", v.claim, v.value, got, v.want)
		}
	}
}

// TestPseudonymForm holds every pseudonym to `<epoch>.<32 hex>`, whatever the value.
func TestPseudonymForm(t *testing.T) {
	form := regexp.MustCompile(`^[A-Za-z0-9-]{1,32}\.[0-9a-f]{32}$`)
	seen := map[string]string{}
	for _, epoch := range []string{"a", strings.Repeat("z", otelbridge.MaxEpochBytes)} {
		p := otelbridge.ShowPseudonyms(otelbridge.PseudonymKey{Epoch: epoch, Secret: otelbridge.NewSecret(secret(0))})
		d := disclosing(t, p)
		for _, value := range []string{
			"a", "a\n", "\na", "a\nb", "\n", "\x00", "\xff", strings.Repeat("a", 511), strings.Repeat("a", 512), strings.Repeat("a", 100_000),
		} {
			got, ok := d.Show(otelbridge.ClaimAudience, otelbridge.Token{}, value, noHash)
			if !ok || !form.MatchString(got) || !strings.HasPrefix(got, epoch+".") {
				t.Errorf("%.20q is shown as %q", value, got)
			}
			if other, ok := seen[got]; ok {
				t.Errorf("%.20q and %.20q have one pseudonym", value, other)
			}
			seen[got] = value
			if again, _ := d.Show(otelbridge.ClaimAudience, otelbridge.Token{}, value, noHash); again != got {
				t.Errorf("%.20q is shown as %q, then as %q", value, got, again)
			}
		}
	}
}

// TestPseudonymInputsAreApart changes one input at a time: each gives another pseudonym.
func TestPseudonymInputsAreApart(t *testing.T) {
	p := otelbridge.Policy{Keys: []otelbridge.PseudonymKey{{Epoch: "a", Secret: otelbridge.NewSecret(secret(0))}}}
	base := otelbridge.Token{TaskID: uuid(t, taskID), Workflow: workflow(t, workflowA)}
	seen := map[string]string{}
	add := func(name string, p otelbridge.Policy, c otelbridge.Claim, value string, of otelbridge.Token) {
		t.Helper()
		got, err := p.Pseudonyms(c, value, of)
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: %q, %v", name, got, err)
		}
		_, sum, _ := strings.Cut(got[0], ".")
		if other, ok := seen[sum]; ok {
			t.Errorf("%s is shown like %s", name, other)
		}
		seen[sum] = name
	}
	add("an issuer", p, otelbridge.ClaimIssuer, "x:y", base)
	add("an audience", p, otelbridge.ClaimAudience, "x:y", base)
	add("another issuer", p, otelbridge.ClaimIssuer, "x:z", base)
	other := base
	other.Workflow = workflow(t, workflowB)
	add("another workflow", p, otelbridge.ClaimIssuer, "x:y", other)
	none := base
	none.Workflow = core.Workflow{}
	add("no workflow", p, otelbridge.ClaimIssuer, "x:y", none)
	none.TaskID[0]++
	add("no workflow, another task", p, otelbridge.ClaimIssuer, "x:y", none)
	for i := range 256 {
		changed := secret(0)
		changed[i/8] ^= 1 << (i % 8)
		k := []otelbridge.PseudonymKey{{Epoch: "a", Secret: otelbridge.NewSecret(changed)}}
		add("another secret", otelbridge.Policy{Keys: k}, otelbridge.ClaimIssuer, "x:y", base)
	}
	// Within one workflow, the task does not matter.
	same := base
	same.TaskID[0]++
	a, _ := p.Pseudonyms(otelbridge.ClaimIssuer, "x:y", base)
	b, _ := p.Pseudonyms(otelbridge.ClaimIssuer, "x:y", same)
	if !slices.Equal(a, b) {
		t.Errorf("one issuer is shown as %q and %q within one workflow", a, b)
	}
}

func TestPseudonymsOfWhatIsKnown(t *testing.T) {
	wid, jti := workflow(t, workflowA), uuid(t, taskID)
	issued := day(2026, time.September, 21)
	const (
		q3 = "2026-q3.0716a036687084b06dbeb7e6bbeb904d"
		q4 = "2026-q4.4b3e232eb99dd6efba9355588ad8fd10"
	)
	for _, tt := range []struct {
		name  string
		claim otelbridge.Claim
		value string
		of    otelbridge.Token
		want  []string
		err   string
	}{
		{"all known", otelbridge.ClaimTask, taskID, otelbridge.Token{TaskID: jti, Workflow: wid, IssuedAt: issued}, []string{q3}, ""},
		{"time not known", otelbridge.ClaimTask, taskID, otelbridge.Token{TaskID: jti, Workflow: wid}, []string{q3, q4}, ""},
		{"the Unix epoch is a time", otelbridge.ClaimTask, taskID, otelbridge.Token{Workflow: wid, IssuedAt: time.Unix(0, 0)}, []string{q3}, ""},
		{"task left out", otelbridge.ClaimTask, taskID, otelbridge.Token{Workflow: wid, IssuedAt: issued}, []string{q3}, ""},
		{"upper case", otelbridge.ClaimTask, strings.ToUpper(taskID), otelbridge.Token{Workflow: wid, IssuedAt: issued}, []string{q3}, ""},
		{"no workflow, task left out", otelbridge.ClaimTask, taskID, otelbridge.Token{IssuedAt: issued}, []string{"2026-q3.04915507520bf5b5559a84b172841cfa"}, ""},
		{"another task", otelbridge.ClaimTask, workflowA, otelbridge.Token{TaskID: jti, Workflow: wid}, nil, "not the token's TaskID"},
		{"no UUID", otelbridge.ClaimTask, "7c9e", otelbridge.Token{Workflow: wid}, nil, "value of jti"},
		{"workflow left out", otelbridge.ClaimWorkflow, workflowA, otelbridge.Token{IssuedAt: issued}, []string{"2026-q3.a42e20bc3d2f9965d9770ce082906246"}, ""},
		{"workflow given", otelbridge.ClaimWorkflow, workflowA, otelbridge.Token{Workflow: wid, IssuedAt: issued}, []string{"2026-q3.a42e20bc3d2f9965d9770ce082906246"}, ""},
		{"another workflow", otelbridge.ClaimWorkflow, workflowB, otelbridge.Token{Workflow: wid}, nil, "not the token's Workflow"},
		{"issuer in a workflow", otelbridge.ClaimIssuer, "spiffe://example.org/billing", otelbridge.Token{Workflow: wid, IssuedAt: issued}, []string{"2026-q3.f7f7cb883377ba288dc490ae10c0197e"}, ""},
		{"issuer in nothing", otelbridge.ClaimIssuer, "spiffe://example.org/billing", otelbridge.Token{IssuedAt: issued}, nil, "neither Workflow nor TaskID"},
		{"no value", otelbridge.ClaimIssuer, "", otelbridge.Token{Workflow: wid}, nil, "value is empty"},
		{"no claim", 0, taskID, otelbridge.Token{Workflow: wid}, nil, "none of the claims"},
		{"a claim too many", otelbridge.ClaimCheckpoint + 1, taskID, otelbridge.Token{Workflow: wid}, nil, "none of the claims"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := otelbridge.Policy{Keys: keys()}.Pseudonyms(tt.claim, tt.value, tt.of)
			if !slices.Equal(got, tt.want) || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("Pseudonyms(%s, %q) = %q, %v, want %q and %q", tt.claim, tt.value, got, err, tt.want, tt.err)
			}
		})
	}
	for _, p := range []otelbridge.Policy{{}, {Keys: []otelbridge.PseudonymKey{{Epoch: "a"}}}} {
		if got, err := p.Pseudonyms(otelbridge.ClaimTask, taskID, otelbridge.Token{}); err == nil || got != nil {
			t.Errorf("Pseudonyms with keys %v = %q, %v, want an error", p.Keys, got, err)
		}
	}
}

// TestRotation adds a key and takes one away: what a token is called does not change by the
// one, and by the other nobody finds it any more.
func TestRotation(t *testing.T) {
	d := disclosing(t, otelbridge.ShowPseudonyms(keys()...))
	old, recent := day(2026, time.September, 21), day(2026, time.November, 21)
	oldName, recentName := wantName(t, d, keys(), old), wantName(t, d, keys(), recent)

	next := append(keys(), otelbridge.PseudonymKey{Epoch: "2027-q1", From: day(2027, time.January, 1), Secret: otelbridge.NewSecret(secret(64))})
	if err := d.Rekey(next); err != nil {
		t.Fatal(err)
	}
	if a, b := wantName(t, d, next, old), wantName(t, d, next, recent); a != oldName || b != recentName {
		t.Errorf("a later key renames %s to %s and %s to %s", oldName, a, recentName, b)
	}
	if got := wantName(t, d, next, day(2027, time.January, 1)); !strings.HasPrefix(got, "2027-q1.") {
		t.Errorf("a token of the new epoch is called %s", got)
	}

	destroyed := next[1:]
	if err := d.Rekey(destroyed); err != nil {
		t.Fatal(err)
	}
	if got := wantName(t, d, destroyed, recent); got != recentName {
		t.Errorf("taking another key away renames %s to %s", recentName, got)
	}
	if got := wantName(t, d, destroyed, old); got == oldName {
		t.Errorf("%s is still shown", got)
	}
	all, err := otelbridge.Policy{Keys: destroyed}.Pseudonyms(otelbridge.ClaimTask, taskID, otelbridge.Token{})
	if err != nil || len(all) != 2 || slices.Contains(all, oldName) {
		t.Errorf("a search for all epochs is for %q, %v, want two, and not %s", all, err, oldName)
	}
}

// TestRekeyConcurrentSafe replaces the keys while pseudonyms are made: each is one that the
// old or the new keys give.
func TestRekeyConcurrentSafe(t *testing.T) {
	const goroutines, rounds = 4, 200
	d := disclosing(t, otelbridge.ShowPseudonyms(keys()...))
	later := append(keys(), otelbridge.PseudonymKey{Epoch: "2027-q1", From: day(2027, time.January, 1), Secret: otelbridge.NewSecret(secret(64))})
	of := otelbridge.Token{TaskID: uuid(t, taskID), Workflow: workflow(t, workflowA), IssuedAt: day(2027, time.February, 1)}
	var want []string
	for _, k := range [][]otelbridge.PseudonymKey{keys(), later} {
		all, err := otelbridge.Policy{Keys: k}.Pseudonyms(otelbridge.ClaimTask, taskID, of)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, all...)
	}
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range rounds {
				if got, ok := d.Show(otelbridge.ClaimTask, of, "", noHash); !ok || !slices.Contains(want, got) {
					t.Errorf("shown as %q, want one of %q", got, want)
					return
				}
			}
		})
		wg.Go(func() {
			for n := range rounds {
				k := later
				if n%2 == 0 {
					k = keys()
				}
				if err := d.Rekey(k); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
