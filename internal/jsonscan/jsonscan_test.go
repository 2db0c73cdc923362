// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package jsonscan_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/internal/jsonscan"
)

// check reads a text as one value of any kind, and to its end.
func check(text string) (depth int, err error) {
	sc := jsonscan.New(text)
	if depth, err = sc.Skip(); err == nil {
		err = sc.End()
	}
	return depth, err
}

func nest(depth int, open, end string) string {
	return strings.Repeat(open, depth) + strings.Repeat(end, depth)
}

// members returns an object of n members, and after them another.
func members(n int, last string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		fmt.Fprintf(&b, `"m%d":[{"a":0}],`, i)
	}
	return b.String() + `"` + last + `":0}`
}

func TestSkip(t *testing.T) {
	const deepest = jsonscan.MaxDepth
	for _, tt := range []struct {
		text  string
		depth int
		err   error
	}{
		{`null`, 0, nil}, {`true`, 0, nil}, {`false`, 0, nil}, {`0`, 0, nil}, {`""`, 0, nil},
		{" \t\r\n{ } \t\r\n", 1, nil}, {`[]`, 1, nil}, {`[[],[[]],[]]`, 3, nil}, {`{"a":{"b":[]},"c":0}`, 3, nil}, {`[ 1 , {"a" : [ ] } ]`, 3, nil},
		{``, 0, jsonscan.ErrSyntax}, {` `, 0, jsonscan.ErrSyntax}, {`{`, 1, jsonscan.ErrSyntax}, {`[`, 1, jsonscan.ErrSyntax}, {`"`, 0, jsonscan.ErrSyntax},
		{`}`, 0, jsonscan.ErrSyntax}, {`]`, 0, jsonscan.ErrSyntax}, {`,`, 0, jsonscan.ErrSyntax}, {`:`, 0, jsonscan.ErrSyntax},
		{`nul`, 0, jsonscan.ErrSyntax}, {`nulL`, 0, jsonscan.ErrSyntax}, {`Null`, 0, jsonscan.ErrSyntax}, {`tru`, 0, jsonscan.ErrSyntax}, {`truf`, 0, jsonscan.ErrSyntax},
		{`fals`, 0, jsonscan.ErrSyntax}, {`NaN`, 0, jsonscan.ErrSyntax}, {`Infinity`, 0, jsonscan.ErrSyntax}, {`undefined`, 0, jsonscan.ErrSyntax},
		{`nullx`, 0, jsonscan.ErrTrailing}, {`null null`, 0, jsonscan.ErrTrailing}, {`{}{}`, 1, jsonscan.ErrTrailing}, {`{},`, 1, jsonscan.ErrTrailing},
		{"{}\x00", 1, jsonscan.ErrTrailing}, {"{}\u00a0", 1, jsonscan.ErrTrailing}, {"{}\x0b", 1, jsonscan.ErrTrailing}, {"{}\x0c", 1, jsonscan.ErrTrailing},
		{"\ufeff{}", 0, jsonscan.ErrSyntax}, {"\x00{}", 0, jsonscan.ErrSyntax}, {"/**/{}", 0, jsonscan.ErrSyntax}, {"{}//", 1, jsonscan.ErrTrailing},
		{`{a:1}`, 1, jsonscan.ErrSyntax}, {`{'a':1}`, 1, jsonscan.ErrSyntax}, {`{"a"}`, 1, jsonscan.ErrSyntax}, {`{"a":}`, 1, jsonscan.ErrSyntax}, {`{"a" 1}`, 1, jsonscan.ErrSyntax},
		{`{"a":1,}`, 1, jsonscan.ErrSyntax}, {`{,}`, 1, jsonscan.ErrSyntax}, {`{,"a":1}`, 1, jsonscan.ErrSyntax}, {`{"a":1 "b":2}`, 1, jsonscan.ErrSyntax},
		{`{"a":1,,"b":2}`, 1, jsonscan.ErrSyntax}, {`{"a":1]`, 1, jsonscan.ErrSyntax}, {`{1:1}`, 1, jsonscan.ErrSyntax}, {`{null:1}`, 1, jsonscan.ErrSyntax}, {`{"a"::1}`, 1, jsonscan.ErrSyntax},
		{`[1,]`, 1, jsonscan.ErrSyntax}, {`[,1]`, 1, jsonscan.ErrSyntax}, {`[,]`, 1, jsonscan.ErrSyntax}, {`[1 2]`, 1, jsonscan.ErrSyntax}, {`[1,,2]`, 1, jsonscan.ErrSyntax}, {`[1}`, 1, jsonscan.ErrSyntax}, {`[1`, 1, jsonscan.ErrSyntax},

		{nest(deepest, "[", "]"), deepest, nil}, {nest(deepest+1, "[", "]"), deepest + 1, jsonscan.ErrDepth}, {nest(deepest-1, `{"a":`, "}")[:5*(deepest-1)] + "0" + strings.Repeat("}", deepest-1), deepest - 1, nil},
		{strings.Repeat(`{"a":`, deepest) + "0" + strings.Repeat("}", deepest), deepest, nil}, {strings.Repeat(`{"a":`, deepest+1) + "0" + strings.Repeat("}", deepest+1), deepest + 1, jsonscan.ErrDepth},
		{"[" + strings.Repeat("[],", 1000) + "[]]", 2, nil}, {"[" + strings.Repeat(`{},`, 1000) + "{}]", 2, nil}, // what was closed is not deep
		{strings.Repeat("[", 100_000), deepest + 1, jsonscan.ErrDepth}, {strings.Repeat(`{"":`, 100_000), deepest + 1, jsonscan.ErrDepth},

		{`{"a":1,"a":1}`, 1, jsonscan.ErrDuplicate}, {`{"a":1,"\u0061":1}`, 1, jsonscan.ErrDuplicate}, {`{"":1,"":1}`, 1, jsonscan.ErrDuplicate}, {`{"a":1,"A":1}`, 1, nil},
		{`{"a":{"b":0},"":0}`, 2, nil}, {`[{"a":0},{"":0}]`, 2, nil}, {`{"a":{"b":{},"c":[{"":0}]},"":{"":0}}`, 4, nil}, {`{"":{"b":0},"":0}`, 2, jsonscan.ErrDuplicate},
		{`{"a":{"a":{"a":0}}}`, 3, nil}, {`[{"a":0},{"a":0}]`, 2, nil}, {`{"a":{"b":0},"b":{"b":0}}`, 2, nil}, {`{"b":0,"a":{"c":0},"b":0}`, 2, jsonscan.ErrDuplicate},
		{`{"\ud83d\ude00":0,"😀":0}`, 1, jsonscan.ErrDuplicate}, {"{\"\u00e9\":0,\"e\u0301\":0}", 1, nil}, // composed and not: two names
		{members(22, "x"), 3, nil}, {members(23, "x"), 3, nil}, {members(24, "x"), 3, nil}, {members(25, "x"), 3, nil}, {members(1000, "x"), 3, nil},
		{members(22, "m0"), 3, jsonscan.ErrDuplicate}, {members(23, "m22"), 3, jsonscan.ErrDuplicate}, {members(24, "m0"), 3, jsonscan.ErrDuplicate}, {members(24, "m23"), 3, jsonscan.ErrDuplicate},
		{members(25, "m24"), 3, jsonscan.ErrDuplicate}, {members(1000, "m0"), 3, jsonscan.ErrDuplicate}, {members(1000, "m999"), 3, jsonscan.ErrDuplicate}, {members(1000, `\u006d7`), 3, jsonscan.ErrDuplicate},
		{`{"x":` + members(30, "m3") + `}`, 4, jsonscan.ErrDuplicate}, {`{"m1":` + members(30, "x") + `,"m2":0}`, 4, nil}, {`{"m1":` + members(30, "x") + `,"m1":0}`, 4, jsonscan.ErrDuplicate},
	} {
		name := tt.text[:min(len(tt.text), 60)]
		depth, err := check(tt.text)
		if !errors.Is(err, tt.err) || err == nil && depth != tt.depth {
			t.Errorf("Skip(%q) = %d, %v, want %d, %v", name, depth, err, tt.depth, tt.err)
		}
		if err != nil && strings.Contains(err.Error(), `"`) {
			t.Errorf("Skip(%q): the error %q shows the input", name, err)
		}
		if err == nil && !json.Valid([]byte(tt.text)) {
			t.Errorf("Skip(%q) accepts what is no JSON", name)
		}
	}
}

func TestNumber(t *testing.T) {
	for _, tt := range []struct {
		text string
		err  error
	}{
		{`0`, nil}, {`-0`, nil}, {`1`, nil}, {`-1`, nil}, {`10`, nil}, {`0.5`, nil}, {`-0.0`, nil}, {`1e3`, nil}, {`1E+3`, nil}, {`1e-3`, nil}, {`0e0`, nil}, {`1.5e03`, nil},
		{`1.7976931348623157e308`, nil}, {`1.7976931348623159e308`, jsonscan.ErrRange}, {`-1e309`, jsonscan.ErrRange}, {`1e-400`, nil}, {`0e999999999`, nil},
		{`1e999999999999999999999`, jsonscan.ErrRange}, {strings.Repeat("9", 300), nil}, {strings.Repeat("9", 308), nil}, {strings.Repeat("9", 310), jsonscan.ErrRange},
		{"0." + strings.Repeat("9", 1000), nil}, {strings.Repeat("9", 309) + ".0", jsonscan.ErrRange}, {"1" + strings.Repeat("0", 308), nil}, {"2" + strings.Repeat("0", 308), jsonscan.ErrRange},
		{``, jsonscan.ErrSyntax}, {`-`, jsonscan.ErrSyntax}, {`+1`, jsonscan.ErrSyntax}, {`.5`, jsonscan.ErrSyntax}, {`5.`, jsonscan.ErrSyntax}, {`1e`, jsonscan.ErrSyntax}, {`1e+`, jsonscan.ErrSyntax},
		{`1.e5`, jsonscan.ErrSyntax}, {`--1`, jsonscan.ErrSyntax}, {`-.5`, jsonscan.ErrSyntax}, {`e5`, jsonscan.ErrSyntax}, {`1e5.5`, jsonscan.ErrTrailing}, {`01`, jsonscan.ErrTrailing},
		{`-01`, jsonscan.ErrTrailing}, {`00`, jsonscan.ErrTrailing}, {`0x10`, jsonscan.ErrTrailing}, {`1_000`, jsonscan.ErrTrailing}, {`1,`, jsonscan.ErrTrailing}, {"1\u0661", jsonscan.ErrTrailing}, {`1 2`, jsonscan.ErrTrailing}, {`1e5e5`, jsonscan.ErrTrailing},
		{"\uff11", jsonscan.ErrSyntax}, {`- 1`, jsonscan.ErrSyntax}, {`1 .5`, jsonscan.ErrTrailing},
	} {
		sc := jsonscan.New(" " + tt.text)
		got, err := sc.Number()
		if err == nil {
			err = sc.End()
		}
		if !errors.Is(err, tt.err) || err == nil && got != tt.text {
			t.Errorf("Number(%.40q) = %.40q, %v, want %v", tt.text, got, err, tt.err)
		}
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		err        error
	}{
		{`""`, "", nil}, {`"a"`, "a", nil}, {` "a"`, "a", nil}, {`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t", nil}, {`"a\nb"`, "a\nb", nil}, {`"\u0000"`, "\x00", nil}, {"\"\x7f\"", "\x7f", nil},
		{`"\u00e9\u00E9"`, "éé", nil}, {`"é😀"`, "é😀", nil}, {`"\ud83d\ude00"`, "😀", nil}, {`"\uD83D\uDE00x"`, "😀x", nil}, {`"\ud7ff\ue000"`, "\ud7ff\ue000", nil}, {`"\uffff"`, "\uffff", nil}, {`"\ufffd"`, "\ufffd", nil}, {"\"\ufffd\"", "\ufffd", nil},
		{`"\udbff\udfff"`, "\U0010ffff", nil}, {`"\ud800\udc00"`, "\U00010000", nil},
		{`"\ud800"`, "", jsonscan.ErrUTF8}, {`"\udc00"`, "", jsonscan.ErrUTF8}, {`"\udfff\ud800"`, "", jsonscan.ErrUTF8}, {`"\ud800\ud800"`, "", jsonscan.ErrUTF8}, {`"\ud800x"`, "", jsonscan.ErrUTF8}, {`"\ud800\n"`, "", jsonscan.ErrUTF8},
		{`"\ud800\u0041"`, "", jsonscan.ErrUTF8}, {`"\ud800\`, "", jsonscan.ErrUTF8}, {`"\ud800\u`, "", jsonscan.ErrSyntax}, {`"\ud800\u00`, "", jsonscan.ErrSyntax}, {`"\ud800\udc0g"`, "", jsonscan.ErrSyntax},
		{"\"\xff\"", "", jsonscan.ErrUTF8}, {"\"\xc0\x80\"", "", jsonscan.ErrUTF8}, {"\"\xed\xa0\x80\"", "", jsonscan.ErrUTF8}, {"\"\xf4\x90\x80\x80\"", "", jsonscan.ErrUTF8}, {"\"\xc3\"", "", jsonscan.ErrUTF8}, {"\"a\xc3", "", jsonscan.ErrUTF8}, {"\"\\n\xff\"", "", jsonscan.ErrUTF8},
		{"\"\n\"", "", jsonscan.ErrSyntax}, {"\"\x00\"", "", jsonscan.ErrSyntax}, {"\"\x1f\"", "", jsonscan.ErrSyntax}, {"\"\t\"", "", jsonscan.ErrSyntax}, {"\"é\n\"", "", jsonscan.ErrSyntax}, {`"\x41"`, "", jsonscan.ErrSyntax}, {`"\u"`, "", jsonscan.ErrSyntax}, {`"\u004"`, "", jsonscan.ErrSyntax}, {`"\u004g"`, "", jsonscan.ErrSyntax},
		{`"\U00000041"`, "", jsonscan.ErrSyntax}, {`"\u 041"`, "", jsonscan.ErrSyntax}, {`"\u+041"`, "", jsonscan.ErrSyntax}, {`"\a"`, "", jsonscan.ErrSyntax}, {`"\0"`, "", jsonscan.ErrSyntax}, {`"\'"`, "", jsonscan.ErrSyntax}, {`"\`, "", jsonscan.ErrSyntax}, {`"`, "", jsonscan.ErrSyntax}, {`"a`, "", jsonscan.ErrSyntax}, {`"\"`, "", jsonscan.ErrSyntax},
		{`'a'`, "", jsonscan.ErrSyntax}, {`a`, "", jsonscan.ErrSyntax}, {``, "", jsonscan.ErrSyntax}, {"\u201ca\u201d", "", jsonscan.ErrSyntax},
	} {
		got, err := jsonscan.New(tt.text).Text()
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("Text(%q) = %q, %v, want %q, %v", tt.text, got, err, tt.want, tt.err)
		}
	}
	for c := range 0x110000 { // every character but surrogates and what must be escaped
		if c < 0x20 || c == '"' || c == '\\' || c >= 0xd800 && c <= 0xdfff {
			continue
		}
		want := "a" + string(rune(c))
		if got, err := jsonscan.New(`"` + want + `"`).Text(); got != want || err != nil {
			t.Fatalf("Text of U+%04X = %q, %v", c, got, err)
		}
		if c > 0xffff {
			continue
		}
		if got, err := jsonscan.New(fmt.Sprintf(`"a\u%04x"`, c)).Text(); got != want || err != nil {
			t.Fatalf("Text of U+%04X, escaped = %q, %v", c, got, err)
		}
	}
}

func TestKind(t *testing.T) {
	for text, want := range map[string]jsonscan.Kind{
		"{": jsonscan.Object, " \n[": jsonscan.Array, `"`: jsonscan.String, "-": jsonscan.Number, "0": jsonscan.Number, "9": jsonscan.Number, "t": jsonscan.Bool,
		"f": jsonscan.Bool, "n": jsonscan.Null, "": jsonscan.Invalid, " ": jsonscan.Invalid, "}": jsonscan.Invalid, "N": jsonscan.Invalid, "+": jsonscan.Invalid, ".": jsonscan.Invalid, "'": jsonscan.Invalid, "\xff": jsonscan.Invalid,
	} {
		if got := jsonscan.New(text).Kind(); got != want {
			t.Errorf("Kind(%q) = %v, want %v", text, got, want)
		}
	}
	for c := range 256 { // white space is four characters and no other
		want := jsonscan.Invalid
		if strings.IndexByte(" \t\r\n", byte(c)) >= 0 {
			want = jsonscan.Null
		}
		if got := jsonscan.New(string([]byte{byte(c)}) + "null").Kind(); got != want && strings.IndexByte(`{["-0123456789tfn`, byte(c)) < 0 {
			t.Errorf("Kind after %q = %v, want %v", rune(c), got, want)
		}
	}
}

// TestMembers takes values by their place, names unescaped.
func TestMembers(t *testing.T) {
	const text = ` { "a" : 1 , "\u0062" : [ 2 , {} ] ,"c":"\n"} `
	got := map[string]string{}
	sc := jsonscan.New(text)
	err := sc.Members(func(name string) error {
		start := sc.Pos()
		_, err := sc.Skip()
		got[name] = text[start:sc.Offset()]
		return err
	})
	if err == nil {
		err = sc.End()
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "[ 2 , {} ]", "c": `"\n"`}, got); diff != "" {
		t.Errorf("Members (-want +got):\n%s", diff)
	}
	stop := errors.New("stop")
	for _, text := range []string{`{"a":1}`, `[1]`} {
		sc := jsonscan.New(text)
		var err error
		if text[0] == '{' {
			err = sc.Members(func(string) error { return stop })
		} else {
			err = sc.Elements(func() error { return stop })
		}
		if !errors.Is(err, stop) {
			t.Errorf("the error of a callback over %s is %v", text, err)
		}
	}
	for _, text := range []string{`[]`, `1`, ``, `"{}"`} {
		if err := jsonscan.New(text).Members(func(string) error { return nil }); !errors.Is(err, jsonscan.ErrSyntax) {
			t.Errorf("Members(%q) = %v", text, err)
		}
	}
	for _, text := range []string{`{}`, `1`, ``, `"[]"`} {
		if err := jsonscan.New(text).Elements(func() error { return nil }); !errors.Is(err, jsonscan.ErrSyntax) {
			t.Errorf("Elements(%q) = %v", text, err)
		}
	}
}

// TestManglings cuts a text everywhere and changes every byte to every other: whatever is
// accepted, encoding/json accepts.
func TestManglings(t *testing.T) {
	const good = ` {"a":[1,-2.5e+3,true,false,null,"\u00e9\ud83d\ude00\n",{}],"é":{"b":{"a":"x"}}}`
	if _, err := check(good); err != nil {
		t.Fatalf("Skip(%q) = %v", good, err)
	}
	for i := range len(good) {
		if _, err := check(good[:i]); err == nil {
			t.Errorf("Skip(%q) = nil", good[:i])
		}
		for c := range 256 {
			text := good[:i] + string([]byte{byte(c)}) + good[i+1:]
			if _, err := check(text); err == nil && !json.Valid([]byte(text)) {
				t.Errorf("Skip(%q) = nil, and it is no JSON", text)
			}
		}
	}
}

// TestSquare reads an object of n members and one of 16 n, at its best of a few tries: if
// the time grew with the square it would take 256 times as long.
func TestSquare(t *testing.T) {
	best := func(n int) time.Duration {
		text, least := members(n, "x"), time.Hour
		for range 5 {
			start := time.Now()
			if _, err := check(text); err != nil {
				t.Fatal(err)
			}
			least = min(least, time.Since(start))
		}
		return least
	}
	if few, many := best(2_000), best(32_000); many > 100*few {
		t.Errorf("2000 members take %v, and 32000 take %v", few, many)
	}
}

func TestAllocations(t *testing.T) {
	const text = `{"iss":"x","aud":["a","b"],"iat":1,"exp":2,"jti":"j","pred":[],"ect_ext":{"a":{"b":[1,2,3]}}}`
	if n := testing.AllocsPerRun(100, func() {
		if _, err := check(text); err != nil {
			t.Fatal(err)
		}
	}); n > 8 {
		t.Errorf("Skip allocates %v times", n)
	}
}
