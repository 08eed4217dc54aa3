package config

import (
	"regexp"
	"strings"
)

// hidden is what stands in place of a secret.
const hidden = "***"

// A URL begins with a scheme; in the words behind it, everything up to the last
// '@' may be credentials, since passwords are often not escaped.
var urlWord = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)([^\s"]+)`)

// RedactURLs hides the credentials of every URL in a text: "amqp://u:p@h" is
// "amqp://u:***@h". A user without password is hidden too, since some systems
// take a token there.
func RedactURLs(s string) string {
	if !strings.Contains(s, "://") || !strings.Contains(s, "@") {
		return s
	}
	return urlWord.ReplaceAllStringFunc(s, redactList)
}

// redactList hides the credentials of URLs that are separated by commas.
func redactList(list string) string {
	parts := strings.Split(list, ",")
	for i, p := range parts {
		parts[i] = redactURL(p)
	}
	// A comma inside a password splits it: then a piece before an '@' has no
	// scheme, and everything up to the last '@' is hidden.
	for i, p := range parts {
		if i > 0 && strings.Contains(p, "@") && !strings.Contains(p, "://") {
			return schemeOf(list) + hidden + list[strings.LastIndexByte(list, '@'):]
		}
	}
	return strings.Join(parts, ",")
}

// redactValue is RedactURLs for a setting, which is a URL as a whole and may hold
// spaces and quotes in its password.
func redactValue(s string) string {
	if m := urlWord.FindStringIndex(s); m != nil && m[0] == 0 {
		return redactList(s)
	}
	return RedactURLs(s)
}

func schemeOf(s string) string { return s[:strings.Index(s, "://")+3] }

func redactURL(s string) string {
	i := strings.Index(s, "://")
	if i < 0 {
		return s
	}
	scheme, rest := s[:i+3], s[i+3:]
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return s
	}
	user, password, has := strings.Cut(rest[:at], ":")
	switch {
	case standsIn(rest[:at]):
		return s
	case !has || strings.ContainsAny(user, "/?#@"):
		return scheme + hidden + rest[at:]
	case standsIn(password):
		return s
	}
	return scheme + user + ":" + hidden + rest[at:]
}

// A reference keeps its place in a URL as one rune from here on, while the rest
// of the URL is redacted.
const standIn = '\ue000'

// standsIn says that s holds nothing but references and what separates them.
func standsIn(s string) bool {
	return s != "" && strings.Trim(s, ":"+string(standIn)) == ""
}

var reference = regexp.MustCompile(`\$\{[^}]*\}`)

// redactWritten is redactValue for text as it is written in the file, where the
// references stay.
func redactWritten(s string) string {
	if strings.Contains(s, "$${") || strings.ContainsRune(s, standIn) {
		return redactValue(s)
	}
	written := reference.FindAllString(s, -1)
	s = redactValue(reference.ReplaceAllLiteralString(s, string(standIn)))
	if strings.Count(s, string(standIn)) != len(written) {
		return hidden // one was hidden with a password, and which cannot be told
	}
	for _, w := range written {
		s = strings.Replace(s, string(standIn), w, 1)
	}
	return s
}

// secretKey says that text under a key of that name is not for printing.
func secretKey(name string) bool {
	name = strings.ToLower(name)
	for _, s := range []string{"password", "passphrase", "secret", "credential"} {
		if strings.Contains(name, s) {
			return true
		}
	}
	return name == "token" || name == "seed" || name == "nkey"
}
