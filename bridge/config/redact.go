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
	return urlWord.ReplaceAllStringFunc(s, func(word string) string {
		parts := strings.Split(word, ",")
		for i, p := range parts {
			parts[i] = redactURL(p)
		}
		// A comma inside a password splits it: then the pieces before an '@'
		// have no scheme, and all of them are hidden.
		for i := range parts {
			if i > 0 && strings.Contains(parts[i], "@") && !strings.Contains(parts[i], "://") {
				return schemeOf(word) + hidden + word[strings.LastIndexByte(word, '@'):]
			}
		}
		return strings.Join(parts, ",")
	})
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
	user, _, has := strings.Cut(rest[:at], ":")
	if !has || strings.ContainsAny(user, "/?#@") {
		return scheme + hidden + rest[at:]
	}
	return scheme + user + ":" + hidden + rest[at:]
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
