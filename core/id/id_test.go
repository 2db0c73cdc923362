// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package id_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-ect/ect/core/id"
)

const good = "01234567-89ab-4def-8123-456789abcdef"

func TestParseUUID(t *testing.T) {
	for _, s := range []string{
		good, strings.ToUpper(good), "01234567-89aB-4dEf-8123-456789AbCdEf", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
		"01890a5d-ac96-774b-bcce-b302099a8057", "c232ab00-9414-11ec-b3c8-9f6bdeced846", // any version
	} {
		u, err := id.ParseUUID(s)
		if err != nil || u.String() != strings.ToLower(s) {
			t.Errorf("ParseUUID(%q) = %v, %v", s, u, err)
		}
	}
	for _, s := range []string{
		"", "-", good[1:], good[:35], good + "0", " " + good, good + " ", "{" + good + "}", "urn:uuid:" + good, strings.ReplaceAll(good, "-", ""),
		strings.ReplaceAll(good, "-", "_"), strings.ReplaceAll(good, "-", "0"), "01234567-89ab-4def-8123-456789abcde\n", "\n" + good[1:],
		"0123456-789ab-4def-8123-456789abcdef", "01234567-89ab-4def-81234-56789abcdef", "-1234567-89ab-4def-8123-456789abcdef", "01234567--9ab-4def-8123-456789abcdef",
		"01234567-89ab-4def-8123-45678-abcdef", "0x234567-89ab-4def-8123-456789abcdef", "+1234567-89ab-4def-8123-456789abcdef", strings.Repeat("-", 36), strings.Repeat("\xff", 36),
		"01234567-89ab-4def-8123-456789abcd\u00e9", "0123456\uff17-89ab-4def-8123-456789abcd",
	} {
		if u, err := id.ParseUUID(s); !errors.Is(err, id.ErrUUID) || u != (id.UUID{}) {
			t.Errorf("ParseUUID(%q) = %v, %v, want %v", s, u, err, id.ErrUUID)
		}
	}
}

// TestParseUUIDManglings changes every byte to every other: what is accepted differs in
// nothing but hexadecimal digits at places of such.
func TestParseUUIDManglings(t *testing.T) {
	want, err := id.ParseUUID(good)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(good) {
		for c := range 256 {
			s := good[:i] + string([]byte{byte(c)}) + good[i+1:]
			u, err := id.ParseUUID(s)
			hex := strings.IndexByte("0123456789abcdefABCDEF", byte(c)) >= 0
			if ok := hex && good[i] != '-' || byte(c) == '-' && good[i] == '-'; (err == nil) != ok {
				t.Errorf("ParseUUID(%q) = %v, %v", s, u, err)
			}
			if err == nil && (u == want) != strings.EqualFold(s, good) {
				t.Errorf("ParseUUID(%q) = %v", s, u)
			}
		}
		if _, err := id.ParseUUID(good[:i]); err == nil {
			t.Errorf("ParseUUID(%q) = nil", good[:i])
		}
		if _, err := id.ParseUUID(good[i:]); err == nil && i > 0 {
			t.Errorf("ParseUUID(%q) = nil", good[i:])
		}
	}
}

func TestNewUUID(t *testing.T) {
	seen := map[id.UUID]bool{}
	var or, and id.UUID
	for i := range and {
		and[i] = 0xff
	}
	for range 1000 {
		u := id.NewUUID()
		if s := u.String(); seen[u] || s[14] != '4' || strings.IndexByte("89ab", s[19]) < 0 {
			t.Fatalf("NewUUID() = %v", u)
		}
		seen[u] = true
		for i := range u {
			or[i] |= u[i]
			and[i] &= u[i]
		}
	}
	for i := range or { // every other bit comes up both ways: nothing of a time is in it
		random := byte(0xff)
		switch i {
		case 6:
			random = 0x0f
		case 8:
			random = 0x3f
		}
		if or[i]&random != random || and[i]&random != 0 {
			t.Errorf("of byte %d the bits %08b are never 0 or never 1", i, random&^(or[i]&^and[i]))
		}
	}
}

func TestUUIDText(t *testing.T) {
	u, err := id.ParseUUID(good)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(u.Append([]byte("x"))); got != "x"+good {
		t.Errorf("Append = %q", got)
	}
	b, err := json.Marshal(map[string]id.UUID{"a": u})
	if err != nil || string(b) != `{"a":"`+good+`"}` {
		t.Errorf("Marshal = %s, %v", b, err)
	}
	var into map[string]id.UUID
	if err := json.Unmarshal([]byte(`{"a":"`+strings.ToUpper(good)+`"}`), &into); err != nil || into["a"] != u {
		t.Errorf("Unmarshal = %v, %v", into, err)
	}
	kept := u
	if err := kept.UnmarshalText([]byte("{" + good + "}")); !errors.Is(err, id.ErrUUID) || kept != u {
		t.Errorf("UnmarshalText of a bad text = %v, and %v is left", err, kept)
	}
	if len(good) != id.UUIDLen {
		t.Errorf("UUIDLen = %d", id.UUIDLen)
	}
}

func TestWorkflow(t *testing.T) {
	var absent id.Workflow
	zero := id.Workflow{Present: true}
	if absent == zero || absent.String() != "" || zero.String() != "00000000-0000-0000-0000-000000000000" {
		t.Errorf("absent is %q, zero is %q", absent, zero)
	}
	w := id.NewWorkflow()
	if !w.Present || w == id.NewWorkflow() || w.String() != w.ID.String() {
		t.Errorf("NewWorkflow() = %v", w)
	}
	for _, w := range []id.Workflow{absent, zero, w} {
		if b, err := w.MarshalText(); err != nil || string(b) != w.String() {
			t.Errorf("MarshalText of %q = %q, %v", w, b, err)
		}
	}
}

func TestDigest(t *testing.T) {
	var d id.Digest
	for i := range d {
		d[i] = byte(255 - i)
	}
	s := d.Short()
	if !bytes.Equal(s[:], d[:16]) {
		t.Errorf("Short = %x", s)
	}
	for _, tt := range []struct {
		text string
		want []byte
		len  int
	}{{d.String(), d[:], 43}, {s.String(), s[:], id.ShortLen}, {string(s.Append([]byte{})), s[:], id.ShortLen}} {
		got, err := base64.RawURLEncoding.Strict().DecodeString(tt.text)
		if err != nil || !bytes.Equal(got, tt.want) || len(tt.text) != tt.len {
			t.Errorf("the text of %x is %q, of %d bytes", tt.want, tt.text, len(tt.text))
		}
	}
	s[0]++ // a copy
	if s == d.Short() {
		t.Error("Short shares memory with its Digest")
	}
}

func TestAllocations(t *testing.T) {
	u := id.NewUUID()
	b := make([]byte, 0, id.UUIDLen)
	if n := testing.AllocsPerRun(100, func() {
		b = u.Append(b[:0])
		if v, err := id.ParseUUID(good); err != nil || v == u {
			t.Fatal(v, err)
		}
	}); n != 0 {
		t.Errorf("Append and ParseUUID allocate %v times", n)
	}
}

// FuzzUUID reads any text: what is read is written the same, but for case.
func FuzzUUID(f *testing.F) {
	for _, s := range []string{good, strings.ToUpper(good), "", "{" + good + "}", strings.ReplaceAll(good, "-", ""), good[:35] + "g", good[:35] + "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := id.ParseUUID(s)
		if err != nil {
			if u != (id.UUID{}) || !errors.Is(err, id.ErrUUID) {
				t.Fatalf("ParseUUID(%q) = %v, %v", s, u, err)
			}
			return
		}
		if u.String() != strings.ToLower(s) {
			t.Fatalf("ParseUUID(%q) = %v", s, u)
		}
		again, err := id.ParseUUID(u.String())
		if err != nil || again != u {
			t.Fatalf("ParseUUID(%q) = %v, %v", u.String(), again, err)
		}
	})
}
