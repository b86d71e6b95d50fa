export default function Page() {
  return <p>A site whose image optimiser is measured.</p>
}
