/** What the JSON reports of the suites come to. `failed FILE`: the test files that failed. `sum FOLDER STEPS…`: the totals. */
import { readdirSync, readFileSync } from 'node:fs'

const read = (file) => JSON.parse(readFileSync(file, 'utf8'))
const [verb, where, ...stepsFailed] = process.argv.slice(2)

if (verb === 'failed') {
  const failed = read(where).testResults.filter(({ status }) => status === 'failed')
  if (failed.length === 0) process.exitCode = 1
  else console.log(failed.map(({ name }) => name).join(' '))
} else {
  const sum = { passed: 0, failed: stepsFailed.length }
  for (const name of stepsFailed) console.log(`step failed: ${name}`)
  const show = (report, what) => {
    for (const { name, message, assertionResults } of report.testResults) {
      if (message) console.log(`\n${what}: ${name}\n${message}`)
      for (const { status, fullName, failureMessages } of assertionResults)
        if (status === 'failed') console.log(`\n${what}: ${name}: ${fullName}\n${failureMessages.join('\n')}`)
    }
  }
  const files = readdirSync(where).filter((one) => one.endsWith('.json'))
  for (const file of files.filter((one) => !one.endsWith('.again.json'))) {
    const first = read(`${where}/${file}`)
    const again = file.replace(/\.json$/, '.again.json')
    const second = files.includes(again) ? read(`${where}/${again}`) : undefined
    const failed = second?.numFailedTests ?? first.numFailedTests
    sum.passed += first.numPassedTests + first.numFailedTests - failed
    sum.failed += failed
    show(first, second === undefined ? 'failed' : 'failed the first time')
    if (second !== undefined) show(second, 'failed again')
  }
  console.log(`\n${sum.passed} passed, ${sum.failed} failed`)
  process.exitCode = sum.failed === 0 && sum.passed > 0 ? 0 : 1
}
