// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package jsonscan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/go-ect/ect/internal/jsonscan"
)

// FuzzScanner holds the scanner against two others. What it accepts, both accept, and
// the strict one reads the same strings. What the strict one accepts and the scanner
// does not is nested too deep, or has a number that no double can hold.
func FuzzScanner(f *testing.F) {
	for _, text := range []string{
		`{}`, `[]`, `null`, `true`, `false`, `0`, `-0`, `-1.5e+3`, `1e999`, `1e-999`, `""`, `"a"`, `"\u00e9"`, `"\ud83d\ude00"`, `"\ud83d"`, "\"\xff\"",
		`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":{"a":1},"b":[{"a":1},{"a":2}]}`, ` [ 1 , 2 ] `, "\ufeff{}", `{}x`, `[1,]`, `{"a":}`, `01`, `1.`, `"\x"`, "\"\n\"",
		strings.Repeat("[", 16) + strings.Repeat("]", 16), strings.Repeat("[", 17) + strings.Repeat("]", 17), members(30, "m3"), members(30, "x"), strings.Repeat("9", 400),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		depth, err := check(text)
		strict, strictErr := readStrictly(text)
		if err != nil {
			if strictErr == nil && !errors.Is(err, jsonscan.ErrDepth) && !errors.Is(err, jsonscan.ErrRange) {
				t.Fatalf("Skip(%q) = %v, and jsontext accepts it", text, err)
			}
			if errors.Is(err, jsonscan.ErrDepth) && strictErr == nil && strict.depth <= jsonscan.MaxDepth {
				t.Fatalf("Skip(%q) = %v at depth %d", text, err, strict.depth)
			}
			return
		}
		if !json.Valid([]byte(text)) {
			t.Fatalf("Skip(%q) = nil, and encoding/json says it is no JSON", text)
		}
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("Skip(%q) = nil, and encoding/json says %v", text, err)
		}
		if strictErr != nil {
			t.Fatalf("Skip(%q) = nil, and jsontext says %v", text, strictErr)
		}
		if depth != strict.depth || depth > jsonscan.MaxDepth {
			t.Fatalf("Skip(%q) = depth %d, want %d", text, depth, strict.depth)
		}
		got, err := texts(jsonscan.New(text))
		if err != nil || strings.Join(got, "\x00") != strings.Join(strict.texts, "\x00") {
			t.Fatalf("the strings of %q are %q, %v, want %q", text, got, err, strict.texts)
		}
	})
}

type reading struct {
	depth int
	texts []string
}

// readStrictly reads one value with jsontext, which refuses duplicates and bad UTF-8.
func readStrictly(text string) (r reading, err error) {
	dec := jsontext.NewDecoder(bytes.NewReader([]byte(text)))
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return r, err
		}
		if tok.Kind() == '"' {
			r.texts = append(r.texts, tok.String())
		}
		r.depth = max(r.depth, dec.StackDepth())
		if dec.StackDepth() == 0 {
			break
		}
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return r, errors.New("something behind the value")
	}
	return r, nil
}

// texts returns every string of a value, the names of members included, in order.
func texts(sc *jsonscan.Scanner) (all []string, err error) {
	switch sc.Kind() {
	case jsonscan.Object:
		err = sc.Members(func(name string) error {
			all = append(all, name)
			more, err := texts(sc)
			all = append(all, more...)
			return err
		})
	case jsonscan.Array:
		err = sc.Elements(func() error {
			more, err := texts(sc)
			all = append(all, more...)
			return err
		})
	case jsonscan.String:
		var s string
		s, err = sc.Text()
		all = append(all, s)
	default:
		_, err = sc.Skip()
	}
	return all, err
}
