// Command gitea is Gitea, pinned: a real forge for the tests, which asks for tokens, speaks SSH and signs webhooks.
//
// It differs from what its authors build in its SQLite, which needs no C compiler here.
package main

import (
	"os"
	"time"

	"code.gitea.io/gitea/cmd"
	"code.gitea.io/gitea/modules/log"
	"code.gitea.io/gitea/modules/setting"
	_ "github.com/ncruces/go-sqlite3/driver" // as "sqlite3", the name that Gitea knows
	_ "github.com/ncruces/go-sqlite3/embed"
)

func main() {
	setting.AppVer = "1.26.0"
	setting.AppStartTime = time.Now().UTC()
	setting.EnableSQLite3 = true
	setting.SupportedDatabaseTypes = append(setting.SupportedDatabaseTypes, "sqlite3")
	err := cmd.RunMainApp(cmd.NewMainApp(cmd.AppVersion{Version: setting.AppVer}), os.Args...)
	log.GetManager().Close() // writes what is left of the log
	if err != nil {
		os.Exit(1)
	}
}
