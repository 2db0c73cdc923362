// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package ecttest

import (
	"time"

	"github.com/go-ect/ect/core"
)

// GoodMessages returns kinds of message that look like one of [BadMessages], and are
// accepted.
func GoodMessages() []Message {
	all := append(goodForms(), goodContext()...)
	return append(all, goodContents()...)
}

// goodForms hold two heads, in every form that a field has (profile 9.1).
func goodForms() []Message {
	all := []Message{}
	for _, form := range []struct {
		name string
		join func(a, b string) []string
	}{
		{"two values", func(a, b string) []string { return []string{a, b} }},
		{"one value", func(a, b string) []string { return []string{a + "," + b} }},
		{"spaces", func(a, b string) []string { return []string{a + " ,  " + b} }},
		{"white space", func(a, b string) []string { return []string{"\t" + a + " ,\t " + b + " "} }},
		{"empty elements", func(a, b string) []string { return []string{"", ",," + a + ", ,", b + ",", ","} }},
		{"one of them twice", func(a, b string) []string { return []string{a, b, a} }},
		{"twice in another form", func(a, b string) []string { return []string{a + "," + b, b} }},
	} {
		all = append(all, Message{Name: form.name, stage: func(s *stage) []Attempt {
			a, b := s.head(), s.sign(s.other().Token(s.To.Identity))
			return []Attempt{accepted(form.join(a, b)...).of(a, b)}
		}})
	}
	return append(all,
		Message{Name: "one of them in its other spelling", stage: func(s *stage) []Attempt {
			a, b := s.head(), s.head()
			return []Attempt{accepted(a, b, Twin(s.tb, a)).of(a, b)}
		}},
		Message{Name: "the names of -00", stage: func(s *stage) []Attempt {
			t := s.token().Head("typ", "wimse-exec+jwt").Without("pred").With("par", []string{}).With("ext", map[string]string{"x": "y"})
			return []Attempt{accepted(s.sign(t))}
		}},
		Message{Name: "a signed and an unsigned token", stage: func(s *stage) []Attempt {
			s.policy.MinLevel = core.L1
			return []Attempt{accepted(s.head(), s.token().Unsigned(s.tb))}
		}},
		Message{Name: "the same again, where it may come again", stage: func(s *stage) []Attempt {
			s.policy.Replay = core.ReplayIdempotent
			a, b := s.head(), s.head()
			return []Attempt{accepted(a), accepted(a), accepted(b, a)}
		}},
		Message{Name: "the same again, where nothing is claimed", stage: func(s *stage) []Attempt {
			s.policy.Replay = core.ReplayOff
			a := s.head()
			return []Attempt{accepted(a), accepted(a)}
		}},
	)
}

// goodContext holds a head, and history or notices beside it (profile 4.1).
func goodContext() []Message {
	return []Message{
		{Name: "context", stage: func(s *stage) []Attempt {
			root := s.head()
			child := s.sign(s.after(root))
			grandchild := s.sign(s.after(child))
			return []Attempt{accepted(grandchild, root, child).of(grandchild)}
		}},
		{Name: "context on a line", stage: func(s *stage) []Attempt {
			root := s.head()
			child := s.sign(s.after(root))
			return []Attempt{accepted(root + "," + child).of(child)}
		}},
		{Name: "context for somebody else, expired and old", stage: func(s *stage) []Attempt {
			root := s.sign(s.From.TokenAt(Name+"/elsewhere", time.Now().Add(-26*time.Hour)))
			child := s.sign(s.after(root))
			return []Attempt{accepted(root, child).of(child)}
		}},
		{Name: "context that was a head before", stage: func(s *stage) []Attempt {
			root := s.head()
			child, another := s.sign(s.after(root)), s.sign(s.after(root))
			return []Attempt{accepted(root), accepted(root, child).of(child), accepted(another)}
		}},
		{Name: "unsigned context", stage: func(s *stage) []Attempt {
			root := s.token().Unsigned(s.tb)
			child := s.sign(s.after(root))
			return []Attempt{accepted(root, child).of(child)}
		}},
		{Name: "context of an unknown issuer, partial", stage: func(s *stage) []Attempt {
			s.policy.Missing = core.AllowPartial
			root := s.sign(s.stranger().Token(s.To.Identity))
			child := s.sign(s.after(root))
			return []Attempt{accepted(root, child).of(child)}
		}},
		{Name: "a predecessor left out, partial", stage: func(s *stage) []Attempt {
			s.policy.Missing = core.AllowPartial
			return []Attempt{accepted(s.sign(s.token().With("pred", []string{numbered(1)})))}
		}},
		{Name: "a notice", stage: func(s *stage) []Attempt {
			a := s.head()
			n := s.sign(s.other().Token(s.To.Identity).With("exec_act", noticeAction))
			b := s.head()
			return []Attempt{accepted(n, a).of(a), accepted(b, n).of(b)}
		}},
	}
}

// goodContents come with content that is as it should be, or that nobody looks at.
func goodContents() []Message {
	content := func(name string, policy core.BodyBinding, attempts func(s *stage) []Attempt) Message {
		return Message{Name: name, Content: true, stage: func(s *stage) []Attempt {
			s.policy.Body = policy
			return attempts(s)
		}}
	}
	recorded := func(s *stage) []Attempt {
		return []Attempt{accepted(s.over(s.contents.Sent)), accepted(s.over(s.contents.Other)).other()}
	}
	return []Message{
		content("the content that was recorded", core.BodyMatch, recorded),
		content("the content that was recorded, where a record is required", core.BodyRequire, recorded),
		content("other content, where nobody looks", core.BodyIgnore, func(s *stage) []Attempt {
			return []Attempt{accepted(s.over(s.contents.Other))}
		}),
		content("two heads, and which of them sent the content is not known", core.BodyMatch, func(s *stage) []Attempt {
			return []Attempt{accepted(s.over(s.contents.Other), s.sign(s.other().Token(s.To.Identity)))}
		}),
	}
}
