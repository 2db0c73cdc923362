// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-ect/ect/otelbridge"
)

func TestKeysCheck(t *testing.T) {
	type key = otelbridge.PseudonymKey
	from := day(2026, time.July, 1)
	ok := func(change func(*key)) []key {
		k := keys()
		change(&k[1])
		return k
	}
	long := func(n int) otelbridge.Secret { return otelbridge.NewSecret(make([]byte, n)) }
	many := func(n int) []key {
		all := make([]key, n)
		for i := range all {
			all[i] = key{Epoch: strconv.Itoa(i), From: from.AddDate(0, i, 0), Secret: otelbridge.NewSecret(secret(byte(i)))}
		}
		return all
	}
	for _, tt := range []struct {
		name string
		keys []key
		want string // in the error, "" if there is none
	}{
		{"as they are", keys(), ""},
		{"one", keys()[:1], ""},
		{"the first without From", []key{{Epoch: "a", Secret: otelbridge.NewSecret(secret(1))}, keys()[0]}, ""},
		{"the second without From", ok(func(k *key) { k.From = time.Time{} }), "Policy.Keys[1].From"},
		{"both without From", []key{{Epoch: "a", Secret: otelbridge.NewSecret(secret(0))}, {Epoch: "b", Secret: otelbridge.NewSecret(secret(1))}}, "Policy.Keys[1].From"},
		{"From equal", ok(func(k *key) { k.From = from }), "Policy.Keys[1].From"},
		{"From equal in another zone", ok(func(k *key) { k.From = from.In(time.FixedZone("", 3600)) }), "Policy.Keys[1].From"},
		{"From a nanosecond before", ok(func(k *key) { k.From = from.Add(-1) }), "Policy.Keys[1].From"},
		{"From a nanosecond after", ok(func(k *key) { k.From = from.Add(1) }), ""},
		{"no Secret", ok(func(k *key) { k.Secret = otelbridge.Secret{} }), "Policy.Keys[1].Secret is shorter than 32 bytes"},
		{"Secret below the limit", ok(func(k *key) { k.Secret = long(otelbridge.MinSecretBytes - 1) }), "Policy.Keys[1].Secret is shorter"},
		{"Secret at the limit", ok(func(k *key) { k.Secret = long(otelbridge.MinSecretBytes) }), ""},
		{"Secret above the limit", ok(func(k *key) { k.Secret = long(otelbridge.MinSecretBytes + 1) }), ""},
		{"Secret above the block of the hash", ok(func(k *key) { k.Secret = long(65) }), ""},
		{"Secret of another key", ok(func(k *key) { k.Secret = otelbridge.NewSecret(secret(0)) }), "Policy.Keys[1].Secret is that of another key"},
		{"no Epoch", ok(func(k *key) { k.Epoch = "" }), "Policy.Keys[1].Epoch is not 1 to 32"},
		{"Epoch of one byte", ok(func(k *key) { k.Epoch = "a" }), ""},
		{"Epoch below the limit", ok(func(k *key) { k.Epoch = strings.Repeat("a", otelbridge.MaxEpochBytes-1) }), ""},
		{"Epoch at the limit", ok(func(k *key) { k.Epoch = strings.Repeat("a", otelbridge.MaxEpochBytes) }), ""},
		{"Epoch above the limit", ok(func(k *key) { k.Epoch = strings.Repeat("a", otelbridge.MaxEpochBytes+1) }), "Policy.Keys[1].Epoch is not"},
		{"Epoch of another key", ok(func(k *key) { k.Epoch = "2026-q3" }), "Policy.Keys[1].Epoch comes twice"},
		{"Epoch in another case", ok(func(k *key) { k.Epoch = "2026-Q3" }), ""},
		{"keys below the limit", many(otelbridge.MaxPseudonymKeys - 1), ""},
		{"keys at the limit", many(otelbridge.MaxPseudonymKeys), ""},
		{"keys above the limit", many(otelbridge.MaxPseudonymKeys + 1), "Policy.Keys holds more than 64"},
	} {
		t.Run(tt.name, func(t *testing.T) { wantRefused(t, otelbridge.ShowPseudonyms(tt.keys...), tt.want) })
	}
	for c := range 256 {
		const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
		want := "Policy.Keys[1].Epoch is not"
		if strings.IndexByte(letters, byte(c)) >= 0 {
			want = ""
		}
		for _, epoch := range []string{string([]byte{byte(c)}), string([]byte{'a', byte(c)}), string([]byte{byte(c), 'a'})} {
			wantRefused(t, otelbridge.ShowPseudonyms(ok(func(k *key) { k.Epoch = epoch })...), want)
		}
	}
}

const markedSecret = "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQ"

// marked returns a key whose secret is found in any form in which wantHidden looks for it.
func marked() otelbridge.PseudonymKey {
	return otelbridge.PseudonymKey{
		Epoch: "marked", From: day(2026, time.July, 1),
		Secret: otelbridge.NewSecret([]byte(markedSecret)),
	}
}

// shows tells whether bytes of marked's secret are in a text, in any of the forms in which
// something could have printed them.
func shows(text string) bool {
	each := func(format, between string, b []byte) string {
		var all []string
		for _, c := range b {
			all = append(all, fmt.Sprintf(format, c))
		}
		return strings.Join(all, between)
	}
	s, lower := []byte(markedSecret), strings.ToLower(text)
	for i := range len(s) - 6 {
		// Six bytes are eight digits of base64, wherever they stand.
		w := s[i : i+6]
		for _, form := range []string{
			string(w), hex.EncodeToString(w), each("%x", " ", w), each("%#x", ", ", w), each("%d", " ", w), each("%d", ",", w), each("%o", " ", w),
		} {
			if strings.Contains(lower, strings.ToLower(form)) {
				return true
			}
		}
		if i%3 == 0 && strings.Contains(text, base64.StdEncoding.EncodeToString(w)) {
			return true
		}
	}
	return false
}

func wantHidden(t *testing.T, how, text string) {
	t.Helper()
	if shows(text) {
		t.Errorf("%s shows the secret: %s", how, text)
	}
}

// TestSecretIsNeverPrinted prints a key, and what holds one, in every way that a log has.
func TestSecretIsNeverPrinted(t *testing.T) {
	k := marked()
	p := otelbridge.ShowPseudonyms(k)
	for _, v := range []any{
		k, &k, []otelbridge.PseudonymKey{k}, map[string]otelbridge.PseudonymKey{"k": k}, p, &p,
		struct{ Policy otelbridge.Policy }{p}, struct{ otelbridge.PseudonymKey }{k}, struct{ Any any }{p},
		// What fmt calls no method on.
		struct{ policy otelbridge.Policy }{p}, struct{ key *otelbridge.PseudonymKey }{&k}, struct{ s otelbridge.Secret }{k.Secret},
		k.Secret, &k.Secret, func() otelbridge.Secret { return k.Secret },
	} {
		for _, flags := range []string{"", "+", "#", "-", " ", "0", "40", ".3", "+#", "# "} {
			for _, verb := range "vTtbcdoOqxXUeEfFgGspw" {
				format := "%" + flags + string(verb)
				wantHidden(t, format, fmt.Sprintf(format, v))
			}
		}
		wantHidden(t, "Sprint", fmt.Sprint(v))
		wantHidden(t, "Errorf", fmt.Errorf("policy %v", v).Error())
		if text, err := json.Marshal(v); err == nil { // a function has no form in JSON
			wantHidden(t, "json", string(text))
		}
		if reflect.TypeOf(v).Name() != "" { // nor has what has no name in XML
			text, err := xml.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			wantHidden(t, "xml", string(text))
		}
		var b bytes.Buffer
		if err := gob.NewEncoder(&b).Encode(v); err == nil {
			wantHidden(t, "gob", b.String())
		}
		for _, handler := range []func(*bytes.Buffer) slog.Handler{
			func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var b bytes.Buffer
			slog.New(handler(&b)).InfoContext(t.Context(), "begins", "v", v, slog.Group("g", slog.Any("v", v)))
			if b.Len() == 0 {
				t.Fatal("nothing was logged")
			}
			wantHidden(t, "slog", b.String())
		}
	}
	for _, err := range []error{
		func() error {
			_, err := otelbridge.NewDisclosure(identity, otelbridge.Policy{Keys: p.Keys})
			return err
		}(),
		func() error {
			_, err := otelbridge.NewDisclosure(identity, otelbridge.ShowPseudonyms(k, k))
			return err
		}(),
		disclosing(t, otelbridge.ShowPseudonyms(keys()...)).Rekey([]otelbridge.PseudonymKey{{Epoch: "2026-q3", Secret: k.Secret}}),
	} {
		if err == nil {
			t.Error("no error, want one")
			continue
		}
		wantHidden(t, "an error", err.Error())
	}
}

// TestHiddenIsFound holds that the test above could fail.
func TestHiddenIsFound(t *testing.T) {
	type bare struct{ Secret []byte }
	v := bare{[]byte(markedSecret)}
	inJSON, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(inJSON)}
	for _, format := range []string{"%v", "%+v", "%#v", "%d", "%o", "%x", "%X", "% x", "%#x", "%s", "%q"} {
		texts = append(texts, fmt.Sprintf(format, v))
	}
	for _, text := range texts {
		if !shows(text) {
			t.Errorf("the secret is not found in %s", text)
		}
	}
}

func TestSecret(t *testing.T) {
	b := secret(0)
	s := otelbridge.NewSecret(b)
	clear(b)
	var zero otelbridge.Secret
	for _, tt := range []struct {
		name string
		a, b otelbridge.Secret
		want bool
	}{
		{"itself", s, s, true},
		{"a copy from before", s, otelbridge.NewSecret(secret(0)), true},
		{"another", s, otelbridge.NewSecret(secret(1)), false},
		{"a longer one", s, otelbridge.NewSecret(append(secret(0), 0)), false},
		{"none", s, zero, false},
		{"none and none", zero, otelbridge.NewSecret(nil), true},
	} {
		if a, b := tt.a.Equal(tt.b), tt.b.Equal(tt.a); a != tt.want || b != tt.want {
			t.Errorf("%s: equal: %t and %t, want %t", tt.name, a, b, tt.want)
		}
	}
	if got, want := fmt.Sprintf("%+v", struct{ Secret otelbridge.Secret }{s}), "{Secret:withheld}"; got != want {
		t.Errorf("printed as %s, want %s", got, want)
	}
}

func TestRekey(t *testing.T) {
	type key = otelbridge.PseudonymKey
	q3, q4 := keys()[0], keys()[1]
	q1 := key{Epoch: "2027-q1", From: day(2027, time.January, 1), Secret: otelbridge.NewSecret(secret(64))}
	mid := key{Epoch: "mid", From: day(2026, time.August, 1), Secret: otelbridge.NewSecret(secret(96))}
	with := func(k key, change func(*key)) key {
		change(&k)
		return k
	}
	for _, tt := range []struct {
		name string
		keys []key
		want string // in the error, "" if there is none
	}{
		{"the same", []key{q3, q4}, ""},
		{"one later", []key{q3, q4, q1}, ""},
		{"the first goes", []key{q4}, ""},
		{"the last goes", []key{q3}, ""},
		{"the last is replaced", []key{q3, q1}, ""},
		{"the last is replaced at its time", []key{q3, with(q1, func(k *key) { k.From = q4.From })}, ""},
		{"all are replaced", []key{q1}, ""},
		{"the same time in another zone", []key{with(q3, func(k *key) { k.From = k.From.In(time.FixedZone("", 3600)) }), q4}, ""},
		{"one between", []key{q3, mid, q4}, "Policy.Keys[1].From is before that of a key in use"},
		{"one before", []key{{Epoch: "a", Secret: otelbridge.NewSecret(secret(1))}, q3, q4}, "Policy.Keys[0].From is before"},
		{"another secret", []key{with(q3, func(k *key) { k.Secret = otelbridge.NewSecret(secret(1)) }), q4}, "Policy.Keys[0].Epoch is in use for another key"},
		{"a longer secret", []key{q3, with(q4, func(k *key) { k.Secret = otelbridge.NewSecret(append(secret(32), 0)) })}, "Policy.Keys[1].Epoch is in use"},
		{"another time", []key{q3, with(q4, func(k *key) { k.From = k.From.Add(1) })}, "Policy.Keys[1].Epoch is in use"},
		{"a secret under another name", []key{q3, with(q4, func(k *key) { k.Epoch = "b" })}, ""},
		{"none", nil, "Policy.Keys is empty"},
		{"one that is bad", []key{q3, with(q4, func(k *key) { k.Secret = otelbridge.Secret{} })}, "Policy.Keys[1].Secret"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := disclosing(t, otelbridge.ShowPseudonyms(keys()...))
			err := d.Rekey(tt.keys)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Fatalf("rekey: error %v, want one that holds %q", err, tt.want)
			}
			now := tt.keys
			if err != nil {
				now = keys() // nothing was changed
			}
			for _, issued := range []time.Time{day(2026, time.January, 1), q3.From, mid.From, q4.From, q1.From} {
				wantName(t, d, now, issued)
			}
		})
	}
	for _, p := range []otelbridge.Policy{otelbridge.ShowNothing(), otelbridge.ShowTasks(), otelbridge.ShowEverything()} {
		if err := disclosing(t, p).Rekey(keys()); err == nil || !strings.Contains(err.Error(), "Policy.Keys") {
			t.Errorf("rekey without a pseudonym: error %v, want one that names Policy.Keys", err)
		}
	}
}

// wantName holds that a task of that time has the name that the keys give it.
func wantName(t *testing.T, d *otelbridge.Disclosing, keys []otelbridge.PseudonymKey, issued time.Time) string {
	t.Helper()
	of := otelbridge.Token{TaskID: uuid(t, "7c9e6679-7425-40de-944b-e07fc1f90ae7"), IssuedAt: issued}
	want, err := otelbridge.Policy{Keys: keys}.Pseudonyms(otelbridge.ClaimTask, of.TaskID.String(), of)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := d.Show(otelbridge.ClaimTask, of, "", noHash)
	if !ok || !slices.Equal([]string{got}, want) {
		t.Errorf("shown as %q, want %q", got, want)
	}
	return got
}
